// One line of the log each: messages, messages on their way, notices. Text is only ever set as text, never as markup.

const TOGETHER = 5 * 60_000; // milliseconds within which lines of one author stand together
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function messageLine({ event, own, gone }, former) {
  const follows = former?.event && sameAuthor(former.event, event) && !former.gone === !gone;
  const bot = event.from.channel_type === "bot";
  const author = event.from.name || (bot ? "Bot" : event.from.participant || event.from.channel);
  const line = make("li", "line");
  line.classList.toggle("own", Boolean(own));
  line.classList.toggle("bot", bot);
  line.classList.toggle("follows", Boolean(follows));
  line.classList.toggle("gone", Boolean(gone));
  line.dataset.index = event.index;

  const avatar = make("span", "avatar", bot ? "✦" : initials(author));
  avatar.setAttribute("aria-hidden", "true");
  avatar.style.setProperty("--hue", hue(event.from.participant || event.from.channel));

  const time = make("time", null, clock.format(new Date(event.at)));
  time.dateTime = event.at;
  time.title = calendar.format(new Date(event.at));
  const head = make("div", "head", make("span", "author", author));
  if (bot) head.append(make("span", "badge", "bot"));
  if (own) head.append(make("span", "unseen", "(you)"));
  head.append(time);

  line.append(avatar, make("div", "body", head, make("div", "bubble", ...contents(event.content))));
  return line;
}

export function pendingLine(message, actions) {
  const line = make("li", "line own waiting");
  const body = make("div", "body", make("div", "bubble", message.text));
  if (message.failed) {
    line.classList.add("failed");
    const why = make("p", "fate", `Not sent: ${message.failed} `);
    why.setAttribute("role", "alert");
    why.append(button("Try again", actions.retry), " ", button("Discard", actions.discard));
    body.append(why);
  } else {
    body.append(make("p", "fate", "sending"));
  }
  line.append(body);
  return line;
}

export function noticeLine(text, gone) {
  const line = make("li", "event-notice", make("span", null, text));
  line.classList.toggle("gone", Boolean(gone));
  return line;
}

function button(label, action) {
  const element = make("button", "link", label);
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

function contents(content) {
  switch (content.type) {
    case "text":
      return [content.body];
    case "rich":
      return [content.plain_text || content.body];
    case "system":
      return [make("em", null, content.body)];
    case "location":
      return [[content.label, content.address, `${content.latitude}, ${content.longitude}`].filter(Boolean).join(" · ")];
    case "media":
    case "audio":
    case "video":
      return [link(content.url, content.caption || content.filename || content.transcript || content.type)];
    case "composite":
      return content.parts.map((part) => make("div", null, ...contents(part)));
    default:
      return [make("em", null, content.body || `(${content.type})`)];
  }
}

function link(url, label) {
  if (!/^https?:/.test(url)) return label;
  const element = make("a", null, label);
  element.href = url;
  element.target = "_blank";
  element.rel = "noopener noreferrer";
  return element;
}

function sameAuthor(one, other) {
  return (
    one.from.participant === other.from.participant &&
    one.from.channel === other.from.channel &&
    one.from.name === other.from.name &&
    new Date(other.at) - new Date(one.at) < TOGETHER
  );
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => Array.from(word)[0] || "");
  return letters.join("").toUpperCase();
}

function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

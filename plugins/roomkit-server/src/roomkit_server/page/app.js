// The page: a form to come in, and a room.

import { RoomClient, newId } from "./client.js";
import { messageLine, pendingLine, noticeLine } from "./lines.js";

const KEPT_LINES = 300;
const at = (id) => document.getElementById(id);
const socketUrl = location.origin.replace(/^http/, "ws") + "/ws";

let client = null;
let session = null; // what this window keeps over a reload: {room, name, secret, cursor, pending, lines, gone}
let pinned = true; // whether the reader is at the end of the log
let pinning = 0;

// ---------------------------------------------------------------------------------------------- coming and going

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem("roomkit"));
  } catch {
    return null;
  }
}

function remember() {
  if (!session) return;
  session.lines = session.lines.slice(-KEPT_LINES);
  try {
    sessionStorage.setItem("roomkit", JSON.stringify(session));
  } catch {
    // Full, or not allowed: then a reload begins anew, which is all that is lost.
  }
}

// The token stays in this tab: sessionStorage ends with it, and no other storage gets to see it.
function token() {
  try {
    return sessionStorage.getItem("roomkit-token");
  } catch {
    return at("token").value || null;
  }
}

function keepToken(value) {
  try {
    if (value) sessionStorage.setItem("roomkit-token", value);
    else sessionStorage.removeItem("roomkit-token");
  } catch {
    // Not allowed: then it is in the field, and a reload asks again.
  }
}

// The server wants to know who this is: the form has a field for that from now on.
function askForToken() {
  const problem = token() ? "The server does not know this token." : "This server asks for a token.";
  const { name, room } = session;
  keepToken(null);
  at("proof").hidden = false;
  at("token").required = true;
  at("token").value = "";
  at("name").value = name;
  at("room").value = room;
  leave(problem);
  at("token").focus();
}

function showEntrance(problem) {
  at("chat").hidden = true;
  at("entrance").hidden = false;
  document.title = "RoomKit chat";
  at("refusal").hidden = !problem;
  at("refusal").textContent = problem || "";
  at("room").value ||= decodeURIComponent(location.hash.slice(1)) || "lobby";
  at(at("name").value ? "room" : "name").focus();
}

function enter(state) {
  session = state;
  at("entrance").hidden = true;
  at("chat").hidden = false;
  at("room-name").textContent = state.room;
  at("own-name").textContent = state.name;
  at("second").href = `#${encodeURIComponent(state.room)}`;
  document.title = `#${state.room} · RoomKit`;
  history.replaceState(null, "", `#${encodeURIComponent(state.room)}`);
  at("log").replaceChildren();
  at("log").setAttribute("aria-live", "off"); // history is not news
  const lines = state.lines;
  state.lines = [];
  client = new RoomClient(socketUrl, state, token(), handlers);
  for (const line of lines) addLine(line);
  client.start();
  remember(); // a reload comes back, however early
  at("text").focus();
}

function leave(problem) {
  client?.stop();
  client = null;
  session = null;
  sessionStorage.removeItem("roomkit");
  showEntrance(problem);
}

// ---------------------------------------------------------------------------------------------- what happens

const handlers = {
  status(state) {
    at("status").dataset.state = state;
    at("status").textContent = state === "connected" ? state : `${state}…`;
  },
  event(event) {
    addLine({ event, own: event.from.participant === client.participant });
  },
  reset() {
    for (const line of session.lines) line.gone = true;
    for (const element of at("log").children) element.classList.add("gone");
    addLine({ notice: "The server was restarted and lost its memory. Earlier messages are gone." });
  },
  ready() {
    at("log").setAttribute("aria-live", "polite");
    at("quiet").hidden = at("log").childElementCount + at("pending").childElementCount > 0;
  },
  pending(list) {
    at("pending").replaceChildren(
      ...list.map((message) => pendingLine(message, { retry: () => client.retry(message.id), discard: () => client.discard(message.id) })),
    );
    if (list.length) at("quiet").hidden = true;
    keepUp();
  },
  refused(error) {
    if (error.code === "auth.refused") askForToken();
    else leave(error.message);
  },
  changed: remember,
};

function addLine(line) {
  const log = at("log");
  const former = session.lines.at(-1);
  session.lines.push(line);
  at("quiet").hidden = true;
  log.append(line.notice ? noticeLine(line.notice, line.gone) : messageLine(line, former));
  while (log.childElementCount > KEPT_LINES) log.firstElementChild.remove();
  if (!pinned) at("down").hidden = false;
  keepUp();
}

function keepUp() {
  if (!pinned || pinning) return;
  pinning = requestAnimationFrame(() => {
    pinning = 0;
    at("scroller").scrollTop = at("scroller").scrollHeight;
  });
}

// ---------------------------------------------------------------------------------------------- what the reader does

at("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = at("name").value.trim();
  const room = at("room").value.trim();
  if (!name || !room) return;
  if (at("token").value) keepToken(at("token").value.trim());
  enter({ room, name, secret: newId(), cursor: null, pending: [], lines: [] });
});

at("leave").addEventListener("click", () => leave());

function say() {
  const field = at("text");
  const text = field.value.trim();
  if (!text || !client) return;
  pinned = true;
  client.send(text);
  field.value = "";
  resize();
  field.focus();
}

function resize() {
  const field = at("text");
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 180)}px`;
}

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
});
at("text").addEventListener("input", resize);
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    say();
  }
});

at("scroller").addEventListener("scroll", () => {
  const { scrollTop, scrollHeight, clientHeight } = at("scroller");
  pinned = scrollHeight - scrollTop - clientHeight < 60;
  if (pinned) at("down").hidden = true;
});
at("down").addEventListener("click", () => {
  pinned = true;
  at("down").hidden = true;
  keepUp();
});
new ResizeObserver(keepUp).observe(at("scroller"));

addEventListener("online", () => client?.hurry());
document.addEventListener("visibilitychange", () => document.hidden || client?.hurry());

const state = remembered();
if (state?.room && state.secret) enter(state);
else showEntrance();

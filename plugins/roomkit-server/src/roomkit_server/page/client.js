// A client of one room: the protocol of docs/reference/websocket.md, without any page.
//
// It keeps a cursor (epoch, index) and messages that are not acknowledged yet. A cut connection is made again with
// growing pauses; the server then sends what is missing after the cursor, and what was not acknowledged is sent again
// under the same id, which makes it one message.

const FIRST_PAUSE = 400; // milliseconds, doubled each time
const LONGEST_PAUSE = 10_000;
const SILENCE = 20_000; // after which the server is asked whether it is still there
const PATIENCE = 8_000; // for its answer
const RETRY = 2_000; // after the server said "not now"
const UNKNOWN = 4401; // close code: the server does not know who this is

export class RoomClient {
  // state: {room, name, secret, cursor, pending: [{id, text, failed}]}; it is the client's own from now on.
  // on: {status(state, detail), event(event), reset(), ready(), pending(list), refused(error), changed()}
  // token: what the server may want to see; not part of the state.
  constructor(url, state, token, on) {
    this.url = url;
    this.token = token;
    this.state = state;
    this.on = on;
    this.participant = null;
    this.attempts = 0;
    this.stopped = false;
    this.joined = false;
  }

  start() {
    this.on.pending(this.state.pending);
    this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.reconnecting);
    clearTimeout(this.watch);
    this.forget();
  }

  send(text) {
    const message = { id: newId(), text, failed: null };
    this.state.pending.push(message);
    this.pendingChanged();
    this.transmit(message);
  }

  retry(id) {
    const message = this.state.pending.find((each) => each.id === id);
    if (!message) return;
    // What was refused has its verdict; saying it again is a new message.
    message.id = newId();
    message.failed = null;
    this.pendingChanged();
    this.transmit(message);
  }

  discard(id) {
    this.settle(id);
  }

  // The browser knows something about the network: do not wait for the end of the pause.
  hurry() {
    if (this.stopped || this.socket) return;
    clearTimeout(this.reconnecting);
    this.connect();
  }

  // ------------------------------------------------------------------------------------------ the connection

  connect() {
    this.on.status(this.attempts ? "reconnecting" : "connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      const { room, name, secret, cursor } = this.state;
      const join = { type: "join", protocol: 1, room, name, client: secret };
      if (cursor) join.cursor = cursor;
      if (this.token) join.token = this.token;
      socket.send(JSON.stringify(join));
      this.heard();
    };
    socket.onmessage = (message) => {
      this.heard();
      this.take(JSON.parse(message.data));
    };
    socket.onclose = ({ code }) => (code === UNKNOWN ? this.refuse({ code: "auth.refused" }) : this.lost());
  }

  lost() {
    this.forget();
    if (this.stopped) return;
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.attempts) * (0.6 + 0.4 * Math.random());
    this.attempts += 1;
    this.on.status("reconnecting");
    this.reconnecting = setTimeout(() => this.connect(), pause);
  }

  // A dead socket may take minutes to say that it closed; nobody waits for that.
  forget() {
    clearTimeout(this.watch);
    this.joined = false;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  heard() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => {
      this.put({ type: "ping" });
      this.watch = setTimeout(() => this.lost(), PATIENCE);
    }, SILENCE);
  }

  put(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  transmit({ id, text }) {
    if (this.joined) this.put({ type: "send", id, text });
  }

  // ------------------------------------------------------------------------------------------ what the server says

  take(message) {
    switch (message.type) {
      case "welcome":
        return this.welcome(message);
      case "reset":
        this.state.cursor = message.cursor;
        this.on.reset();
        return this.on.changed();
      case "event":
        return this.takeEvent(message);
      case "cursor":
        this.advance(message.cursor);
        if (!message.more) {
          this.attempts = 0;
          this.on.ready();
        }
        return this.on.changed();
      case "ack":
        return this.acknowledge(message);
      case "error":
        return this.fault(message);
    }
  }

  welcome({ participant, epoch, cursor }) {
    this.participant = participant;
    this.joined = true;
    if (!this.state.cursor) this.state.cursor = cursor;
    this.epoch = epoch;
    this.on.status("connected");
    for (const message of this.state.pending) if (!message.failed) this.transmit(message);
  }

  takeEvent({ event, cursor }) {
    if (!this.advance(cursor)) return; // it was here before
    if (event.key && event.from.participant === this.participant) this.settle(event.key);
    this.on.event(event);
    this.on.changed();
  }

  advance(cursor) {
    const mine = this.state.cursor;
    if (mine && mine.epoch === cursor.epoch && mine.index >= cursor.index) return false;
    this.state.cursor = cursor;
    return true;
  }

  acknowledge({ id, index, blocked, reason }) {
    const message = this.state.pending.find((each) => each.id === id);
    if (!message) return;
    if (blocked) {
      message.failed = reason || "blocked";
      this.pendingChanged();
    } else if (index === null || index <= this.state.cursor.index) {
      this.settle(id); // shown already, or never to be shown
    }
  }

  fault(error) {
    if (error.id) {
      const message = this.state.pending.find((each) => each.id === error.id);
      if (!message) return;
      if (error.retryable) {
        setTimeout(() => this.state.pending.includes(message) && this.transmit(message), RETRY);
      } else {
        message.failed = error.message;
        this.pendingChanged();
      }
    } else if (error.fatal && !error.retryable) {
      this.refuse(error);
    }
  }

  refuse(error) {
    this.stop();
    this.on.refused(error);
  }

  settle(id) {
    const before = this.state.pending.length;
    this.state.pending = this.state.pending.filter((each) => each.id !== id);
    if (this.state.pending.length !== before) this.pendingChanged();
  }

  pendingChanged() {
    this.on.pending(this.state.pending);
    this.on.changed();
  }
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A client of the host's WebSocket port, as any program is one: host/PROTOCOL.md says what it says.

const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

export class Client {
  // on: { state(word, detail), frame(object, text), sent(object) }
  constructor(on) {
    this.on = on;
    this.wanted = new Map();
    this.attempt = 0;
  }

  connect(url, key) {
    this.disconnect();
    Object.assign(this, { url, key, isWanted: true, attempt: 0 });
    this.open();
  }

  disconnect() {
    this.isWanted = false;
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    this.isReady = false;
    socket?.close(1000);
  }

  open() {
    this.on.state("connecting", this.url);
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch (error) {
      this.isWanted = false;
      return this.on.state("failed", error.message);
    }
    this.socket = socket;
    socket.addEventListener("open", () => {
      if (this.socket !== socket) return;
      this.on.state("authenticating", "");
      this.send({ action: "authenticate", api_key: this.key, feed_status: true, subscription_status: true });
    });
    socket.addEventListener("message", (event) => this.socket === socket && this.receive(event.data));
    socket.addEventListener("close", (event) => this.socket === socket && this.closed(event));
  }

  closed(event) {
    this.socket = null;
    this.isReady = false;
    const why = `${event.code}${event.reason ? ` ${event.reason}` : ""}`;
    // Codes of which the protocol says that to come back is of no use.
    if (!this.isWanted || [1002, 1007, 1009, 4401, 4403].includes(event.code)) {
      this.isWanted = false;
      return this.on.state("closed", why);
    }
    const pause = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)] * (0.75 + Math.random() / 2);
    this.attempt += 1;
    this.on.state("waiting", `${why}; next attempt in ${Math.ceil(pause / 1_000)} s`);
    this.timer = setTimeout(() => this.open(), pause);
  }

  receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.type === "auth" && frame.status === "success") {
      this.isReady = true;
      this.attempt = 0;
      this.on.state("authenticated", `${frame.user_id} at ${frame.broker}`);
      for (const request of this.wanted.values()) this.send(request);
    } else if (frame.status === "error" && frame.code === "AUTHENTICATION_ERROR") {
      this.disconnect();
      this.on.state("failed", frame.message);
    }
    this.on.frame(frame, text);
  }

  subscribe({ exchange, symbol, mode, depth }) {
    const request = { action: "subscribe", symbols: [{ exchange, symbol }], mode, request_id: `${exchange}:${symbol}:${mode}` };
    if (mode === "Depth") request.depth = depth;
    this.wanted.set(request.request_id, request);
    if (this.isReady) this.send(request);
  }

  unsubscribe({ exchange, symbol, mode }) {
    this.wanted.delete(`${exchange}:${symbol}:${mode}`);
    if (this.isReady) this.send({ action: "unsubscribe", symbols: [{ exchange, symbol, mode }] });
  }

  // The host refused it: it is not asked for again.
  forget(id) {
    this.wanted.delete(id);
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
    this.on.sent(message);
  }
}

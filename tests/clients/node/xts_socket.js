// The unmodified npm package xts-marketdata-api against a server that plays a broker with Symphony XTS: logs in, subscribes, and
// prints what it hands over of each instrument.
//
// Reads one JSON object from standard input: url, app_key, secret, broadcast (Full or Partial), depth, indices and interest, which are
// lists of {exchangeSegment, exchangeInstrumentID}, and count. Prints one JSON object a line: code, segment and number or name, and the
// last that it handed over. Ends when each has come `count` times.
'use strict';

// The package begins with long polling, which no broker needs; nothing else of it is changed.
const path = require.resolve('socket.io-client', { paths: [require.resolve('xts-marketdata-api')] });
const connect = require(path);
require.cache[path].exports = (url, options) => connect(url, { ...options, transports: ['websocket'] });

const { XtsMarketDataAPI, WS } = require('xts-marketdata-api');

const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
// What the package says of itself goes where it disturbs nobody.
console.info = console.log = (...words) => console.error(...words);

async function main() {
  const api = new XtsMarketDataAPI(asked.url);
  const answer = await api.logIn({ appKey: asked.app_key, secretKey: asked.secret, source: 'WebAPI' });
  if (answer.type !== 'success') throw new Error(`no log-in: ${JSON.stringify(answer)}`);
  const socket = new WS(asked.url);
  socket.init({
    userID: answer.result.userID,
    token: answer.result.token,
    publishFormat: 'JSON',
    broadcastMode: asked.broadcast,
  });
  const ticks = new Map();
  const counts = new Map();
  const total = asked.depth.length + asked.indices.length + asked.interest.length;
  const note = (code) => (data) => {
    const name = data.IndexName === undefined ? data.ExchangeInstrumentID : data.IndexName;
    const key = `${code}|${data.ExchangeSegment}|${name}`;
    ticks.set(key, data);
    counts.set(key, (counts.get(key) || 0) + 1);
    const isAll = counts.size === total && [...counts.values()].every((count) => count >= asked.count);
    if (!isAll) return;
    for (const [name, tick] of ticks) process.stdout.write(`${JSON.stringify({ key: name, tick })}\n`);
    process.stdout.write('', () => process.exit(0));
  };
  socket.onMarketDepthEvent(note(1502));
  socket.onIndexDataEvent(note(1504));
  socket.onOpenInterestEvent(note(1510));
  await new Promise((resolve) => socket.onJoined(resolve));
  for (const [code, instruments] of [[1502, asked.depth], [1504, asked.indices], [1510, asked.interest]]) {
    for (let from = 0; from < instruments.length; from += 50) {
      const some = instruments.slice(from, from + 50);
      const done = await api.subscription({ instruments: some, xtsMessageCode: code });
      if (done.type !== 'success') throw new Error(`not subscribed: ${JSON.stringify(done)}`);
    }
  }
  // The server trades when it is told that all is subscribed.
  process.stderr.write('all subscribed\n');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// A server of the real Socket.IO, of version 2 (Engine.IO 3) or 4 (Engine.IO 4), that plays as much of a broker with Symphony XTS as a
// client needs: a list of one share, subscriptions that are always granted, and from then on an event of JSON and one with bytes every
// 50 ms. The volume in them counts from 1 on each connection.
//
// Argument: 2 or 4. Prints its port. Ends with its standard input. Pings are so frequent that a client which does not take part is gone
// within a second.
'use strict';

const http = require('http');

const PATH = '/apimarketdata';
const version = process.argv[2];
let isSubscribed = false;

const answers = {
  '/instruments/master': (asked) =>
    asked.exchangeSegmentList[0] === 'NSECM' ? 'NSECM|3045|8|SBIN|SBIN-EQ|EQ|SBIN-EQ|1' : '',
  '/instruments/indexlist': () => ({ exchangeSegment: 1, indexList: ['NIFTY 50_26000'] }),
  '/instruments/subscription': () => {
    isSubscribed = true;
    return { listQuotes: [] };
  },
};

const server = http.createServer((request, response) => {
  const name = new URL(request.url, 'http://x').pathname.slice(PATH.length);
  let body = '';
  request.on('data', (chunk) => (body += chunk));
  request.on('end', () => {
    const result = answers[name] ? answers[name](body ? JSON.parse(body) : {}) : null;
    response.writeHead(result === null ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ type: result === null ? 'error' : 'success', result }));
  });
});

const options = {
  path: `${PATH}/socket.io`,
  transports: ['websocket'],
  pingInterval: 250,
  pingTimeout: 500,
  serveClient: false,
};
const io = version === '2' ? require('socket.io-2')(server, options) : new (require('socket.io-4').Server)(server, options);

// A touchline as a packed message, in the layout of the maker's packages.
function packed(volume) {
  const body = Buffer.alloc(180);
  body.writeUInt16LE(1501, 0);
  body.writeUInt16LE(4, 2);
  body.writeUInt16LE(1, 26);
  body.writeInt32LE(3045, 28);
  body.writeDoubleLE(830.05, 84);
  body.writeUInt32LE(volume, 104);
  const head = Buffer.alloc(15);
  head.writeUInt16LE(1501, 1);
  head.writeInt16LE(1, 3);
  head.writeInt32LE(3045, 5);
  head.writeUInt16LE(body.length, 13);
  return Buffer.concat([head, body]);
}

io.on('connection', (socket) => {
  socket.emit('joined', 'you have joined');
  let count = 0;
  const timer = setInterval(() => {
    if (!isSubscribed) return;
    count += 1;
    if (count % 2 === 1) {
      const touchline = { LastTradedPrice: 830.5, TotalTradedQuantity: count };
      const message = { MessageCode: 1501, ExchangeSegment: 1, ExchangeInstrumentID: 3045, ...touchline };
      socket.emit('1501-json-full', JSON.stringify(message));
    } else {
      socket.emit('xts-binary-packet', packed(count));
    }
  }, 50);
  socket.on('disconnect', () => clearInterval(timer));
});

server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('end', () => process.exit(0)).resume();

"""A publisher as people write them with pyzmq: a PUB socket that connects and sends topic and JSON."""

import argparse
import json
import os
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True, help="address of the bus, tcp://... or ipc://...")
    parser.add_argument("--topic", required=True, help="EXCHANGE_SYMBOL_MODE")
    parser.add_argument("--rate", type=float, default=100, help="messages a second")
    parser.add_argument("--count", type=int, default=500, help="messages in all")
    parser.add_argument("--heartbeat-ms", type=int, default=0, help="interval of ZMTP heartbeats, 0 for none")
    parser.add_argument("--body", type=json.loads, help="JSON to send each time, instead of a price that rises")
    return parser.parse_args()


def wait_for_handshake(monitor, seconds=10):
    """Until then a PUB socket has nobody to send to, and loses what it is given.

    The subscription of the bus follows the handshake, so the very first messages may still be lost.
    """
    if not monitor.poll(seconds * 1000):
        sys.exit("the bus did not complete the handshake")
    event = recv_monitor_message(monitor)["event"]
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        sys.exit("the bus refused the secret")
    if event != zmq.EVENT_HANDSHAKE_SUCCEEDED:
        sys.exit("the bus refused the handshake")


def main():
    args = arguments()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, 1000)
    socket.setsockopt(zmq.LINGER, 1000)
    secret = os.environ.get("TICKHOST_BUS_SECRET")
    if secret:
        # The name may be any; libzmq takes PLAIN security for granted when there is one.
        socket.setsockopt(zmq.PLAIN_USERNAME, b"tickhost")
        socket.setsockopt(zmq.PLAIN_PASSWORD, secret.encode())
    if args.heartbeat_ms:
        socket.setsockopt(zmq.HEARTBEAT_IVL, args.heartbeat_ms)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5 * args.heartbeat_ms)
    # Watching begins before the connection does: the handshake may be over at once.
    failed = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | failed)
    socket.connect(args.endpoint)
    wait_for_handshake(monitor)
    symbol = args.topic.partition("_")[2].rpartition("_")[0]
    started = time.monotonic()
    for number in range(args.count):
        price = round(600 + number * 0.05, 2)
        rising = {"symbol": symbol, "ltp": price, "timestamp": time.time_ns() // 1_000_000, "seq": number}
        body = rising if args.body is None else args.body
        socket.send_multipart([args.topic.encode(), json.dumps(body).encode()])
        pause = started + (number + 1) / args.rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
    disconnects = 0
    while monitor.poll(0):
        recv_monitor_message(monitor)
        disconnects += 1
    socket.disable_monitor()
    monitor.close()
    socket.close()
    context.term()
    print(f"sent {args.count}")
    if disconnects:
        sys.exit("the bus dropped the publisher")


if __name__ == "__main__":
    main()

"""Joins two network namespaces by a link that takes its time: `delay-link.py NETNS_A NETNS_B DEVICE ONE_WAY_MS`.

One TUN device in each namespace; what leaves one comes in at the other after the delay. For kernels without netem. Prints `ready` when both are there;
ends when its standard input does.
"""
import ctypes, fcntl, heapq, os, select, struct, sys, time

CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def tun(namespace: str, device: str) -> int:
    with open(f"/var/run/netns/{namespace}") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def main() -> None:
    a, b = tun(sys.argv[1], sys.argv[3]), tun(sys.argv[2], sys.argv[3])
    delay = float(sys.argv[4]) / 1000
    other = {a: b, b: a}
    on_the_way: list[tuple[float, int, int, bytes]] = []
    count = 0
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        wait = max(0.0, on_the_way[0][0] - now) if on_the_way else None
        for fd in select.select([a, b, 0], [], [], wait)[0]:
            if fd == 0:
                return
            try:
                while True:
                    packet = os.read(fd, 65536)
                    count += 1
                    heapq.heappush(on_the_way, (time.monotonic() + delay, count, other[fd], packet))
            except BlockingIOError:
                pass
        now = time.monotonic()
        while on_the_way and on_the_way[0][0] <= now:
            _, _, fd, packet = heapq.heappop(on_the_way)
            try:
                os.write(fd, packet)
            except (BlockingIOError, OSError):
                pass  # a queue that is full loses packets, as any link does


main()

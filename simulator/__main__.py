"""`python -m simulator`: a Genesys Cloud org on a port of this machine."""

import argparse

from simulator.server import run


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8089, help="port; 0 takes a free one")
    parser.add_argument("--flows", type=int, default=1, help="how many flows to seed")
    parser.add_argument("--seed", type=int, default=1, help="seed of ids and callers")
    parser.add_argument("--client-id", default="simulator", help="OAuth client")
    parser.add_argument("--client-secret", default="simulator", help="its secret")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to each call")
    parser.add_argument(
        "--publishing-seconds", type=float, default=0.0, help="how long a publication takes"
    )
    parser.add_argument("--calls-per-minute", type=float, default=60.0, help="callers of each flow")
    options = vars(parser.parse_args())
    for name, value in options.items():
        if not isinstance(value, str) and value < 0:
            parser.error(f"--{name.replace('_', '-')} must not be negative, got {value}")
    try:
        run(**options)
    except OSError as error:
        parser.exit(1, f"cannot listen on {options['host']}:{options['port']}: {error.strerror}\n")


if __name__ == "__main__":
    main()

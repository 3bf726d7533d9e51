"""A cluster as a configuration file of Serve has it run, behind Serve's own proxies.

`python -m tests.generator.cluster.configured PORT ARGUMENTS`, where the arguments are the JSON that
stands in the file; it says when it is ready, and runs until its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

from generator.cluster import _alone


def main(port: int, arguments: str) -> None:
    os.environ |= _alone()
    # Ray reads these when it is imported.
    ray, serve = import_module("ray"), import_module("ray.serve")
    application = import_module("generator.cluster.application")
    ray.init(include_dashboard=False, num_cpus=2, object_store_memory=80 << 20)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(application.build(json.loads(arguments)), name=application.NAME)
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

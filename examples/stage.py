"""Sets up the federation of docker-compose.yml: wallets with play money, contracts, data, configurations, consents.

python stage.py FOLDER RPC IPFS CLIENTS ROUNDS. Does nothing where FOLDER has a federation already. Only for a
development chain, whose first account is unlocked and rich; a real federation starts with `koinon organization create`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from processor.demo.play import join
from processor.demo.settings import DemoSettings
from processor.demo.stage import set_the_stage

DONE = "staged"


def main() -> None:
    folder, rpc, ipfs, clients, rounds = Path(sys.argv[1]), *sys.argv[2:6]
    if (folder / DONE).exists():
        print("the federation is set up already")
        return
    settings = DemoSettings(clients=int(clients), rounds=int(rounds))
    stage = set_the_stage(settings, folder, rpc, {"ipfs": ipfs}, print)
    join(stage, stage.plan)
    (folder / DONE).touch()


if __name__ == "__main__":
    main()

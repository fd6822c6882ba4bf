"""The command agentcore-local."""

import argparse
import sys
from pathlib import Path

from agentcore_local.errors import StartError
from agentcore_local.server import run
from agentcore_local.settings import Settings, load_settings, read_env_file


def main() -> int:
    """Returns 0 after a signal ended the server, 1 when it could not start."""
    arguments = _parser().parse_args()
    try:
        settings = _settings(arguments)
        run(settings, lambda address: print(_ready(address, settings), flush=True))
    except StartError as error:
        print(f"agentcore-local: {error}", file=sys.stderr)
        return 1
    return 0


def _ready(address: str, settings: Settings) -> str:
    return f"agentcore-local ready on {address} (app {settings.app or 'none'}, state {settings.state_dir})"


def _settings(arguments: argparse.Namespace) -> Settings:
    overrides = {
        name: getattr(arguments, name)
        for name in ("app", "host", "port", "state_dir", "idle_timeout", "max_lifetime", "stop_grace")
    }
    settings = load_settings(arguments.config, overrides)
    if arguments.env_file is None:
        return settings
    environment = read_env_file(arguments.env_file) | settings.environment
    return load_settings(arguments.config, {**overrides, "environment": environment})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agentcore-local", description="A stand-in for the Amazon Bedrock AgentCore data plane."
    )
    parser.add_argument("--app", metavar="MODULE:ATTRIBUTE", help="the runtime's BedrockAgentCoreApp")
    parser.add_argument("--state-dir", type=Path, help="events, logs and working directories")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8421; 0 takes a free one)")
    parser.add_argument("--config", type=Path, help="YAML file; options win over it")
    parser.add_argument("--env-file", type=Path, help="NAME=VALUE lines for the sessions' environment")
    parser.add_argument("--idle-timeout", type=float, metavar="SECONDS", help="default 900")
    parser.add_argument("--max-lifetime", type=float, metavar="SECONDS", help="default 28800")
    parser.add_argument("--stop-grace", type=float, metavar="SECONDS", help="from SIGTERM to SIGKILL, default 15")
    return parser


if __name__ == "__main__":
    sys.exit(main())

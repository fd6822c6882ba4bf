"""The command ``amelia-runtime``: the container's process."""

import os


def main() -> None:
    from .app import app

    app.run(port=int(os.environ.get("PORT", "8080")), host=os.environ.get("AMELIA_RUNTIME_HOST"))


if __name__ == "__main__":
    main()

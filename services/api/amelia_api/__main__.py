from amelia.lifecycle import serve


def main() -> None:
    from .bootstrap import run

    serve("api", run)


if __name__ == "__main__":
    main()

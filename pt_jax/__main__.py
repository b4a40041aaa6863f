"""The command line, as `python -m pt_jax`."""

from pt_jax.app.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

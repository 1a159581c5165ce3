"""`python -m ckread`."""

from ckread.cli.main import main

raise SystemExit(main())

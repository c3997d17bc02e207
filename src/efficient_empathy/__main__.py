"""`python -m efficient_empathy`."""

from efficient_empathy.cli import main

if __name__ == "__main__":
    main()

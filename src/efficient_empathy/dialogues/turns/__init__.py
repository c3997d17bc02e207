"""How the values of a row become turns, and turns samples: roles, contents, conversations in one text."""

"""What every wing may use, and what uses none of them."""

"""The application around the pages: routes, security, links, shared files."""

"""What every server of the package needs: listening, limits of connections and rates, and who a request is from."""

"""The page that makes a run: a file is dropped or named, read, judged by whom one likes, and scored."""

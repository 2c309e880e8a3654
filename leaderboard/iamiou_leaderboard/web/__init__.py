"""The board over HTTP: pages, API, uploads and the same pages as files."""

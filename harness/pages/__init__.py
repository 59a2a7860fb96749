"""Results to look at: pages from one base template, charts and tables in them and in notebooks, pictures as files."""

"""An explorer of maps in the browser: one file that holds the numbers, the page and the library that draws."""

"""The kinds of rule, one file each: what it needs, its estimate and p values, its verdict, words and plot."""

"""What scripts/bench.sh runs: hvferry measured beside its peers.

    data        trees, and whether a copy equals its source
    processes   children, and what they took
    net, relay  links: the loopback, namespaces with a limited rate, a relay that counts and cuts
    contenders  the ways to copy a tree
    bench       one run of the script: its directories, its rounds
    full, again the cases W1 to W13, growth: curves
    bars        what is to be reached
    report, plot, docs   Markdown, SVG, docs/benchmarks.md
"""

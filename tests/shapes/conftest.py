collect_ignore_glob = ["*/tree/*"]

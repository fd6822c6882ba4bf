#!/bin/sh
grep -q '^name=a b$' src/app.txt

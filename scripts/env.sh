# shellcheck shell=bash
# Sourced by the other scripts: tools that scripts/parts.sh fetched can be found.
MAINSTAY_PARTS=$(scripts/parts.sh root)
PATH=$PATH:$MAINSTAY_PARTS/bin
export MAINSTAY_PARTS PATH

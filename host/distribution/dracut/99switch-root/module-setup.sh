#!/bin/bash
# Placeholder.
check() {
    return 255
}

"""One tape out of two stores: MongoDB for what was, Redis for what comes, without hole or repeat between them."""

"""The host's side of what devices share: byte channels; later block, tap and vhost."""

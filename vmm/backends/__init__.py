"""The host's side of what devices share: byte channels, disks; later tap and vhost."""

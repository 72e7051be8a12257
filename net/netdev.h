/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of a network interface of the kernel, by its name.  All: 0 or a negative errno. */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include <stdbool.h>

bool netdev_exists(const char *name);
int netdev_set_up(const char *name);
int netdev_get_mtu(const char *name, unsigned int *mtu);
int netdev_set_mtu(const char *name, unsigned int mtu);
/* Make it a port of this bridge; no error if it is one already.  -ENODEV: no such bridge. */
int netdev_add_to_bridge(const char *name, const char *bridge);

#endif /* NET_NETDEV_H */

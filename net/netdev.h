/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings of a network interface of the kernel, by its name, and what becomes of it, by its
 * number.  Functions return 0 or a negative errno, if nothing else is said.
 */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include <stdbool.h>
#include <stdint.h>

bool netdev_exists(const char *name);
int netdev_set_up(const char *name);
int netdev_get_mtu(const char *name, unsigned int *mtu);
int netdev_set_mtu(const char *name, unsigned int mtu);
/* Make it a port of this bridge; no error if it is one already.  -ENODEV: no such bridge. */
int netdev_add_to_bridge(const char *name, const char *bridge);
int netdev_get_address(const char *name, uint8_t address[6]);
/* Whether the interface of this number is up, now; -ENODEV: there is none. */
int netdev_is_up(unsigned int index, bool *up);

/*
 * An fd which becomes readable when the interface of this number, to be set with
 * netdev_watch_index(), changes or goes; netdev_watch_read() makes it wait for the next change.
 */
int netdev_watch(void);
int netdev_watch_index(int fd, unsigned int index);
void netdev_watch_read(int fd);

#endif /* NET_NETDEV_H */

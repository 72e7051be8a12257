/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of a network interface of the kernel. */
#include "netdev.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util.h"

static void netdev_name(char dst[IFNAMSIZ], const char *name)
{
	memcpy(dst, name, strnlen(name, IFNAMSIZ - 1));
}

static int netdev_ioctl(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, request, ifr))
		ret = -errno;
	close(fd);
	return ret;
}

bool netdev_exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

int netdev_set_up(const char *name)
{
	struct ifreq ifr = { 0 };
	int ret;

	netdev_name(ifr.ifr_name, name);
	ret = netdev_ioctl(SIOCGIFFLAGS, &ifr);
	if (ret || ifr.ifr_flags & IFF_UP)
		return ret;
	ifr.ifr_flags |= IFF_UP;
	return netdev_ioctl(SIOCSIFFLAGS, &ifr);
}

int netdev_get_mtu(const char *name, unsigned int *mtu)
{
	struct ifreq ifr = { 0 };
	int ret;

	netdev_name(ifr.ifr_name, name);
	ret = netdev_ioctl(SIOCGIFMTU, &ifr);
	*mtu = (unsigned int)ifr.ifr_mtu;
	return ret;
}

int netdev_set_mtu(const char *name, unsigned int mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	netdev_name(ifr.ifr_name, name);
	return netdev_ioctl(SIOCSIFMTU, &ifr);
}

int netdev_add_to_bridge(const char *name, const char *bridge)
{
	struct ifreq ifr = { .ifr_ifindex = (int)if_nametoindex(name) };
	int ret;

	netdev_name(ifr.ifr_name, bridge);
	ret = netdev_ioctl(SIOCBRADDIF, &ifr);
	/* It is in a bridge.  Only this very bridge lets go of it. */
	if (ret == -EBUSY && !netdev_ioctl(SIOCBRDELIF, &ifr))
		ret = netdev_ioctl(SIOCBRADDIF, &ifr);
	return ret;
}

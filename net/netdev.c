/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings of a network interface of the kernel; and news of one.
 *
 * The kernel tells all who ask what becomes of any interface (rtnetlink).  A filter lets through
 * what is about ours, so that others cost no wake-up.
 */
#include "netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
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

int netdev_get_address(const char *name, uint8_t address[6])
{
	struct ifreq ifr = { 0 };
	int ret;

	netdev_name(ifr.ifr_name, name);
	ret = netdev_ioctl(SIOCGIFHWADDR, &ifr);
	memcpy(address, ifr.ifr_hwaddr.sa_data, 6);
	return ret;
}

int netdev_is_up(unsigned int index, bool *up)
{
	struct ifreq ifr = { .ifr_ifindex = (int)index };
	int ret = netdev_ioctl(SIOCGIFNAME, &ifr);

	if (!ret)
		ret = netdev_ioctl(SIOCGIFFLAGS, &ifr);
	*up = !ret && ifr.ifr_flags & IFF_UP;
	return ret;
}

/*
 * News
 */

int netdev_watch(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int netdev_watch_index(int fd, unsigned int index)
{
	/* A word is loaded as from a packet, in the network's byte order. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_index)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(index), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

void netdev_watch_read(int fd)
{
	char buf[64];
	unsigned int i;

	/*
	 * What it says in detail is asked for when somebody wants to know.  Messages which were too
	 * many are reported once, as an error.
	 */
	for (i = 0; i < 64; i++) {
		if (recv(fd, buf, sizeof(buf), MSG_TRUNC) < 0 && errno != ENOBUFS)
			break;
	}
}

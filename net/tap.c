/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port to a tap interface of the kernel, one fd for each pair of queues.
 *
 * The tap speaks virtio-net headers itself (IFF_VNET_HDR), so that packets go through with what
 * their header says.  What it can do is found out by trying; which of it received
 * packets may make use of is set when the driver has chosen.
 *
 * The interface is one which exists, or is created and then goes with the last fd, or somebody
 * with the privilege has opened it and gives us the fds.  Pairs which the driver does not use are
 * detached, where the interface has several queues, so that the kernel deals its packets out to
 * the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_config.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "netdev.h"
#include "port.h"

#define TAP_DEVICE	"/dev/net/tun"

/* What older kernel headers lack. */
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

struct tap {
	struct port port;
	char ifname[IFNAMSIZ];
	unsigned int index;		/* of the interface; 0: it is in another network namespace */
	int watch;			/* see netdev_watch() */
	bool own_fds;			/* opened by us, so that they can be opened again */
	bool created;			/* by us; it goes with the last fd */
	atomic_bool multi_queue;	/* changes when it comes back as another one */
	unsigned int offloads;		/* TUN_F_* which it can do */
	uint64_t acked;			/* the driver's choice */
	unsigned int mtu;		/* to be set; 0: none */
	char bridge[IFNAMSIZ];		/* to be in; empty: none */
	bool up;			/* to be */
	int fds[PORT_PAIRS_MAX];	/* [port.pairs]; -1: not open */
};

/* Where the reason for a failure goes. */
struct tap_why {
	char *buf;
	size_t size;
};

static struct tap *tap_of(const struct port *port)
{
	return container_of(port, struct tap, port);
}

#define tap_fail(why, err, ...) (snprintf((why)->buf, (why)->size, __VA_ARGS__), err)

/*
 * Features
 */

static const struct {
	uint64_t feature;
	unsigned int offload;		/* all of these are needed */
} tap_offloads[] = {
	{ BIT(VIRTIO_NET_F_GUEST_CSUM), TUN_F_CSUM },
	{ BIT(VIRTIO_NET_F_GUEST_TSO4), TUN_F_TSO4 },
	{ BIT(VIRTIO_NET_F_GUEST_TSO6), TUN_F_TSO6 },
	{ BIT(VIRTIO_NET_F_GUEST_ECN), TUN_F_TSO_ECN },
	{ BIT(VIRTIO_NET_F_GUEST_UFO), TUN_F_UFO },
	/* The kernel has both or none. */
	{ BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6), TUN_F_USO4 | TUN_F_USO6 },
};

/* The kernel takes an offload only together with what it builds on. */
static unsigned long tap_with_needs(unsigned int offload)
{
	return offload | TUN_F_CSUM | (offload & TUN_F_TSO_ECN ? TUN_F_TSO4 : 0);
}

/* Which offloads the tap takes; all are off afterwards. */
static unsigned int tap_probe(int fd)
{
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tap_offloads); i++) {
		if (!ioctl(fd, TUNSETOFFLOAD, tap_with_needs(tap_offloads[i].offload)))
			found |= tap_offloads[i].offload;
	}
	ioctl(fd, TUNSETOFFLOAD, 0ul);
	return found;
}

/* A packet which may be received may also be sent, by the same code of the kernel. */
static uint64_t tap_features(const struct port *port)
{
	static const struct {
		unsigned int offload;
		uint64_t host;
	} hosts[] = {
		{ TUN_F_CSUM, BIT(VIRTIO_NET_F_CSUM) },
		{ TUN_F_TSO4, BIT(VIRTIO_NET_F_HOST_TSO4) },
		{ TUN_F_TSO6, BIT(VIRTIO_NET_F_HOST_TSO6) },
		{ TUN_F_TSO_ECN, BIT(VIRTIO_NET_F_HOST_ECN) },
		{ TUN_F_UFO, BIT(VIRTIO_NET_F_HOST_UFO) },
		{ TUN_F_USO4, BIT(VIRTIO_NET_F_HOST_USO) },
	};
	unsigned int offloads = tap_of(port)->offloads;
	uint64_t features = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tap_offloads); i++) {
		if (offloads & tap_offloads[i].offload)
			features |= tap_offloads[i].feature;
	}
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (offloads & hosts[i].offload)
			features |= hosts[i].host;
	}
	return features;
}

static unsigned int tap_wanted_offloads(uint64_t features)
{
	unsigned int offloads = 0;
	size_t i;

	/* Without this nothing else makes sense. */
	if (!(features & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	for (i = 0; i < ARRAY_SIZE(tap_offloads); i++) {
		if ((features & tap_offloads[i].feature) == tap_offloads[i].feature)
			offloads |= tap_offloads[i].offload;
	}
	/* Likewise. */
	if (!(offloads & (TUN_F_TSO4 | TUN_F_TSO6)))
		offloads &= ~(unsigned int)TUN_F_TSO_ECN;
	return offloads;
}

static int tap_apply_features(const struct tap *tap, int fd)
{
	unsigned int offloads = tap_wanted_offloads(tap->acked) & tap->offloads;
	int size = (int)hdr_len(tap->acked), little = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) || ioctl(fd, TUNSETVNETLE, &little) ||
	    ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads))
		return errno == EBADFD ? -ENODEV : -errno;
	return 0;
}

static int tap_set_features(struct port *port, uint64_t features)
{
	struct tap *tap = tap_of(port);
	unsigned int i;
	int ret = 0;

	tap->acked = features;
	for (i = 0; !ret && i < port->pairs; i++)
		ret = tap_apply_features(tap, tap->fds[i]);
	/* Who has gone will be told when it is back. */
	return ret == -ENODEV ? 0 : ret;
}

/*
 * Opening
 */

/* One fd of the interface; name may be a pattern, and becomes what it stands for. */
static int tap_open_queue(char name[IFNAMSIZ], bool multi_queue)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open(TAP_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC), err = 0;
	unsigned int can;

	if (fd < 0)
		return -errno;
	if (multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	/* What the kernel does not know it would ignore. */
	if (!ioctl(fd, TUNGETFEATURES, &can) && (unsigned short)ifr.ifr_flags & ~can)
		err = -EOPNOTSUPP;
	else if (ioctl(fd, TUNSETIFF, &ifr))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return fd;
}

static void tap_set_pair(struct port *port, unsigned int pair, bool on)
{
	const struct tap *tap = tap_of(port);
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	/* It fails when nothing changes, or when the interface has gone. */
	if (tap->multi_queue)
		ioctl(tap->fds[pair], TUNSETQUEUE, &ifr);
}

/* Whether there is such a tap, which has no more than one queue. */
static bool tap_is_single(const struct tap *tap)
{
	char name[IFNAMSIZ];
	int fd;

	memcpy(name, tap->ifname, IFNAMSIZ);
	fd = tap_open_queue(name, false);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EBUSY;
}

/* Say why a queue could not be opened. */
static int tap_open_failed(const struct tap *tap, unsigned int pair, int err, struct tap_why *why)
{
	switch (-err) {
	case EPERM:
		return tap_fail(why, err, "not permitted: it takes CAP_NET_ADMIN, "
				"or a tap which belongs to this user");
	case EBUSY:
		return tap_fail(why, err, "another process uses it");
	case E2BIG:
		return tap_fail(why, err, "it has %u queues, fewer than --queue-pairs=%u", pair,
				tap->port.pairs);
	case EINVAL:
		if (tap->port.pairs > 1 && tap_is_single(tap))
			return tap_fail(why, err, "it has one queue, fewer than --queue-pairs=%u",
					tap->port.pairs);
		return tap_fail(why, err, "not a tap interface, nor the name of a new one");
	case EOPNOTSUPP:
		return tap_fail(why, err, "the kernel's taps have no virtio-net headers%s",
				tap->port.pairs > 1 ? ", or no several queues" : "");
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return tap_fail(why, err, TAP_DEVICE ": %s", strerror(-err));
	default:
		return tap_fail(why, err, "%s", strerror(-err));
	}
}

/* Open all queues into fds. */
static int tap_open_queues(struct tap *tap, int *fds, struct tap_why *why)
{
	unsigned int i;
	int fd;

	tap->multi_queue = tap->port.pairs > 1;
	for (i = 0; i < tap->port.pairs; i++) {
		fd = tap_open_queue(tap->ifname, tap->multi_queue);
		/* A tap with several queues lends one of them, too. */
		if (fd == -EINVAL && tap->port.pairs == 1) {
			fd = tap_open_queue(tap->ifname, true);
			tap->multi_queue = fd >= 0;
		}
		if (fd < 0)
			return tap_open_failed(tap, i, fd, why);
		fds[i] = fd;
	}
	return 0;
}

/*
 * The link
 */

/*
 * Whether the interface of our name is the one which the fds belong to: they may be of elsewhere.
 */
static bool tap_is_here(const struct tap *tap)
{
	struct ifreq ifr = { 0 };
	uint8_t address[6];

	return !netdev_get_address(tap->ifname, address) &&
	       !ioctl(tap->fds[0], SIOCGIFHWADDR, &ifr) &&
	       !memcmp(ifr.ifr_hwaddr.sa_data, address, sizeof(address));
}

/* Find the interface, and ask for news of it. */
static void tap_find(struct tap *tap)
{
	tap->index = tap_is_here(tap) ? if_nametoindex(tap->ifname) : 0;
	if (tap->watch >= 0)
		netdev_watch_index(tap->watch, tap->index);
}

static int tap_link_fd(const struct port *port)
{
	return tap_of(port)->watch;
}

static enum port_link tap_link(struct port *port)
{
	const struct tap *tap = tap_of(port);
	struct ifreq ifr;
	bool up;

	if (tap->watch >= 0)
		netdev_watch_read(tap->watch);
	if (ioctl(tap->fds[0], TUNGETIFF, &ifr) && errno == EBADFD)
		return PORT_GONE;
	/* It can also have moved to another namespace. */
	return !tap->index || netdev_is_up(tap->index, &up) || up ? PORT_UP : PORT_DOWN;
}

/* What the interface is to be besides. */
static int tap_set_up(const struct tap *tap, struct tap_why *why)
{
	int ret = 0;

	if (tap->mtu)
		ret = netdev_set_mtu(tap->ifname, tap->mtu);
	if (ret)
		return tap_fail(why, ret, "cannot set --mtu=%u: %s", tap->mtu, strerror(-ret));
	if (tap->bridge[0])
		ret = netdev_add_to_bridge(tap->ifname, tap->bridge);
	if (ret)
		return tap_fail(why, ret, "cannot add it to --bridge=%s: %s", tap->bridge,
				ret == -ENODEV || ret == -EOPNOTSUPP || ret == -EINVAL ?
				"no such bridge" : ret == -EBUSY ? "it is in another one" :
				strerror(-ret));
	if (tap->up)
		ret = netdev_set_up(tap->ifname);
	if (ret)
		return tap_fail(why, ret, "cannot set it up: %s", strerror(-ret));
	return 0;
}

static int tap_open_named(struct tap *tap, const char *ifname, struct tap_why *why)
{
	int ret;

	if (strlen(ifname) >= IFNAMSIZ)
		return tap_fail(why, -EINVAL, "longer than %d bytes", IFNAMSIZ - 1);
	strcpy(tap->ifname, ifname);
	tap->own_fds = true;
	tap->created = !netdev_exists(ifname);
	ret = tap_open_queues(tap, tap->fds, why);
	return ret ? ret : tap_set_up(tap, why);
}

/*
 * Inherited fds
 */

static int tap_check_fd(struct tap *tap, int fd, struct tap_why *why)
{
	struct ifreq ifr = { 0 };

	if (fcntl(fd, F_GETFD) < 0)
		return tap_fail(why, -EBADF, "%d: no such file descriptor", fd);
	if (ioctl(fd, TUNGETIFF, &ifr))
		return tap_fail(why, -EINVAL, "%d: not a tap with an interface", fd);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return tap_fail(why, -EINVAL, "%d: not opened with IFF_TAP and IFF_NO_PI", fd);
	if (!(ifr.ifr_flags & IFF_VNET_HDR))
		return tap_fail(why, -EINVAL, "%d: not opened with IFF_VNET_HDR", fd);
	if (tap->ifname[0] && strncmp(tap->ifname, ifr.ifr_name, IFNAMSIZ))
		return tap_fail(why, -EINVAL, "%d: of another interface than the first one", fd);
	memcpy(tap->ifname, ifr.ifr_name, IFNAMSIZ);
	tap->multi_queue = ifr.ifr_flags & IFF_MULTI_QUEUE;
	return 0;
}

static int tap_take_fds(struct tap *tap, const int *fds, struct tap_why *why)
{
	unsigned int i, j;
	int ret;

	for (i = 0; i < tap->port.pairs; i++) {
		ret = tap_check_fd(tap, fds[i], why);
		for (j = 0; !ret && j < i; j++) {
			if (fds[i] == fds[j])
				ret = tap_fail(why, -EINVAL, "%d: given twice", fds[i]);
		}
		if (ret)
			return ret;
	}
	for (i = 0; i < tap->port.pairs; i++) {
		tap->fds[i] = fds[i];
		if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) || fcntl(fds[i], F_SETFL, O_NONBLOCK))
			return tap_fail(why, -errno, "%d: %s", fds[i], strerror(errno));
	}
	return 0;
}

/*
 * Life
 */

static void tap_close(struct port *port)
{
	struct tap *tap = tap_of(port);
	unsigned int i;

	for (i = 0; i < port->pairs; i++)
		close_fd(&tap->fds[i]);
	close_fd(&tap->watch);
	free(tap);
}

static struct tap *tap_new(const struct port_params *params)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	unsigned int i;

	if (!tap)
		return NULL;
	tap->port = (struct port){ .ops = &port_tap, .pairs = params->pairs };
	tap->mtu = params->mtu;
	tap->up = params->up;
	for (i = 0; i < params->pairs; i++)
		tap->fds[i] = -1;
	/* Without it packets tell. */
	tap->watch = netdev_watch();
	return tap;
}

static int tap_open(struct port **port, const struct port_params *params, char *why,
		    size_t why_size)
{
	struct tap_why reason = { why, why_size };
	struct tap *tap = tap_new(params);
	unsigned int i;
	int ret;

	if (!tap)
		return tap_fail(&reason, -ENOMEM, "%s", strerror(ENOMEM));
	if (params->bridge)
		snprintf(tap->bridge, sizeof(tap->bridge), "%s", params->bridge);
	if (params->ifname)
		ret = tap_open_named(tap, params->ifname, &reason);
	else
		ret = tap_take_fds(tap, params->fds, &reason);
	if (ret) {
		tap_close(&tap->port);
		return ret;
	}
	tap->offloads = tap_probe(tap->fds[0]);
	tap_find(tap);
	/* Nobody takes packets yet. */
	for (i = 0; i < params->pairs; i++)
		tap_set_pair(&tap->port, i, false);
	*port = &tap->port;
	return 0;
}

/* The queues which the driver used are attached now, as those are which it did not. */
static int tap_replace(struct tap *tap, const int *fds)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < tap->port.pairs; i++) {
		ret = tap_apply_features(tap, fds[i]);
		if (!ret && dup3(fds[i], tap->fds[i], O_CLOEXEC) < 0)
			ret = -errno;
		if (!ret)
			tap_set_pair(&tap->port, i, false);
	}
	tap_find(tap);
	return ret;
}

static int tap_reopen(struct port *port)
{
	struct tap *tap = tap_of(port);
	char buf[256];
	struct tap_why why = { buf, sizeof(buf) };
	int fds[PORT_PAIRS_MAX];
	unsigned int i;
	int ret;

	if (!tap->own_fds)
		return -EOPNOTSUPP;
	/* One which was not ours to create is not ours to create again. */
	if (!tap->created && !netdev_exists(tap->ifname))
		return -ENODEV;
	for (i = 0; i < port->pairs; i++)
		fds[i] = -1;
	ret = tap_open_queues(tap, fds, &why);
	if (!ret)
		ret = tap_set_up(tap, &why);
	if (!ret)
		ret = tap_replace(tap, fds);
	for (i = 0; i < port->pairs; i++)
		close_fd(&fds[i]);
	return ret;
}

/*
 * Work
 */

static int tap_error(int err)
{
	switch (err) {
	case EBADFD:
	case ENXIO:
		return -ENODEV;
	case EIO:
		return -ENETDOWN;
	default:
		return -err;
	}
}

static ssize_t tap_rx(struct port *port, unsigned int pair, const struct iovec *iov,
		      unsigned int cnt)
{
	ssize_t n = readv(tap_of(port)->fds[pair], iov, (int)cnt);

	return n < 0 ? tap_error(errno) : n;
}

static int tap_tx(struct port *port, unsigned int pair, const struct iovec *iov, unsigned int cnt)
{
	int fd = tap_of(port)->fds[pair];
	ssize_t n = cnt == 1 ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, (int)cnt);

	return n < 0 ? tap_error(errno) : 0;
}

static int tap_fd(const struct port *port, unsigned int pair)
{
	return tap_of(port)->fds[pair];
}

static int tap_set_mtu(struct port *port, unsigned int mtu)
{
	const struct tap *tap = tap_of(port);
	unsigned int now;
	int ret;

	/* Whose name it is here is somebody else. */
	if (!tap->index)
		return -EOPNOTSUPP;
	ret = netdev_get_mtu(tap->ifname, &now);
	if (ret || now == mtu)
		return ret;
	ret = netdev_set_mtu(tap->ifname, mtu);
	/* Without the privilege it is good enough if nothing longer comes from there. */
	return ret == -EPERM && now < mtu ? 0 : ret;
}

/* A vector costs the kernel some 40 ns a call, and the copy less, since it fetches the packet. */
#define TAP_WHOLE	2048u

const struct port_ops port_tap = {
	.name = "tap",
	.tx_whole = TAP_WHOLE,
	.open = tap_open,
	.close = tap_close,
	.features = tap_features,
	.set_features = tap_set_features,
	.rx = tap_rx,
	.tx = tap_tx,
	.fd = tap_fd,
	.set_pair = tap_set_pair,
	.set_mtu = tap_set_mtu,
	.reopen = tap_reopen,
	.link_fd = tap_link_fd,
	.link = tap_link,
};

const unsigned long port_ioctls[] = {
	TUNGETFEATURES, TUNGETIFF, TUNSETIFF, TUNSETOFFLOAD, TUNSETQUEUE, TUNSETVNETHDRSZ,
	TUNSETVNETLE, SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFHWADDR, SIOCGIFFLAGS, SIOCSIFFLAGS,
	SIOCGIFMTU, SIOCSIFMTU, SIOCBRADDIF, SIOCBRDELIF, 0
};

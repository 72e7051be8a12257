/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port to sockets, one for each pair, whose other ends send and receive packets: for tests.
 *
 * The sockets keep the borders of messages (SOCK_SEQPACKET).  Their other end closed is the
 * interface gone.  Where they come from an abstract address, it is there again when somebody
 * listens there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "port.h"

struct pair {
	struct port port;
	char *name;			/* of the abstract address; NULL: none */
	int fds[PORT_PAIRS_MAX];	/* one for each pair */
};

static struct pair *pair_of(const struct port *port)
{
	return container_of(port, struct pair, port);
}

static int pair_connect(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = MIN(strlen(name), sizeof(addr.sun_path) - 1);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	memcpy(addr.sun_path + 1, name, len);
	len += offsetof(struct sockaddr_un, sun_path) + 1;
	if (!connect(fd, (const struct sockaddr *)&addr, (socklen_t)len))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void pair_close(struct port *port)
{
	struct pair *pair = pair_of(port);
	unsigned int i;

	for (i = 0; i < port->pairs; i++)
		close_fd(&pair->fds[i]);
	free(pair->name);
	free(pair);
}

/* Connect each pair anew; fds which are there already keep their number. */
static int pair_connect_all(struct pair *pair)
{
	unsigned int i;
	int fd;

	for (i = 0; i < pair->port.pairs; i++) {
		fd = pair_connect(pair->name);
		if (fd < 0)
			return fd;
		if (pair->fds[i] < 0) {
			pair->fds[i] = fd;
			continue;
		}
		dup3(fd, pair->fds[i], O_CLOEXEC);
		close(fd);
	}
	return 0;
}

static int pair_open(struct port **port, const struct port_params *params, char *why,
		     size_t why_size)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	unsigned int i;
	int ret = 0;

	if (!pair)
		return -ENOMEM;
	pair->port = (struct port){ .ops = &port_pair, .pairs = params->pairs };
	for (i = 0; i < params->pairs; i++)
		pair->fds[i] = params->ifname ? -1 : params->fds[i];
	if (params->ifname) {
		pair->name = strdup(params->ifname);
		ret = pair->name ? pair_connect_all(pair) : -ENOMEM;
	}
	if (ret) {
		snprintf(why, why_size, "%s: %s", params->ifname, strerror(-ret));
		pair_close(&pair->port);
		return ret;
	}
	*port = &pair->port;
	return 0;
}

static uint64_t pair_features(const struct port *port)
{
	(void)port;
	return PORT_OFFLOADS;
}

static int pair_set_features(struct port *port, uint64_t features)
{
	(void)port, (void)features;
	return 0;
}

static int pair_error(int err)
{
	return err == ECONNRESET || err == EPIPE || err == ENOTCONN ? -ENODEV : -err;
}

static ssize_t pair_rx(struct port *port, unsigned int i, const struct iovec *iov,
		       unsigned int cnt)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = cnt };
	ssize_t n = recvmsg(pair_of(port)->fds[i], &msg, MSG_DONTWAIT);

	if (n < 0)
		return pair_error(errno);
	return n ? n : -ENODEV;
}

static int pair_tx(struct port *port, unsigned int i, const struct iovec *iov, unsigned int cnt)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = cnt };

	if (sendmsg(pair_of(port)->fds[i], &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return pair_error(errno);
	return 0;
}

static int pair_fd(const struct port *port, unsigned int i)
{
	return pair_of(port)->fds[i];
}

static void pair_set_pair(struct port *port, unsigned int i, bool on)
{
	(void)port, (void)i, (void)on;
}

static int pair_set_mtu(struct port *port, unsigned int mtu)
{
	(void)port, (void)mtu;
	return 0;
}

static int pair_reopen(struct port *port)
{
	struct pair *pair = pair_of(port);

	return pair->name ? pair_connect_all(pair) : -EOPNOTSUPP;
}

static int pair_link_fd(const struct port *port)
{
	(void)port;
	return -1;
}

static enum port_link pair_link(struct port *port)
{
	(void)port;
	return PORT_UP;
}

const struct port_ops port_pair = {
	.name = "pair",
	.open = pair_open,
	.close = pair_close,
	.features = pair_features,
	.set_features = pair_set_features,
	.rx = pair_rx,
	.tx = pair_tx,
	.fd = pair_fd,
	.set_pair = pair_set_pair,
	.set_mtu = pair_set_mtu,
	.reopen = pair_reopen,
	.link_fd = pair_link_fd,
	.link = pair_link,
};

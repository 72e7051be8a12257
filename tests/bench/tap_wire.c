/* SPDX-License-Identifier: BSD-3-Clause */
/* See tap_wire.h. */
#include "config.h"

#include "tests/bench/tap_wire.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define BATCH		64u
#define PACKET_MAX	65550u
#define PAGE		4096u
#define PIECE_FIRST	128u		/* as load_net.c cuts a long packet */
#define MSS		1448

static int wire_tap(const char *ifname)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), size = WIRE_HDR;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETVNETHDRSZ, &size) ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Up, with a long queue. */
static int wire_prepare(const struct wire *w)
{
	struct ifreq ifr = { .ifr_qlen = (int)w->queue };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", w->ifname);
	if (ioctl(w->sender, SIOCSIFTXQLEN, &ifr))
		return -errno;
	ifr.ifr_flags = IFF_UP;
	return ioctl(w->sender, SIOCSIFFLAGS, &ifr) ? -errno : 0;
}

static int wire_open_sender(struct wire *w)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_ifindex = (int)if_nametoindex(w->ifname) };
	int one = 1, room = 1 << 30, ret;

	/* Protocol 0: it receives nothing. */
	w->sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (w->sender < 0)
		return -errno;
	ret = wire_prepare(w);
	if (ret)
		return ret;
	if (setsockopt(w->sender, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(w->sender, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(w->sender, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    bind(w->sender, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return 0;
}

/* In both there are pages already when the clock runs. */
static int wire_open_memory(struct wire *w)
{
	const size_t packets = WIRE_PACKETS * ALIGN_UP(WIRE_HDR + PACKET_MAX, PAGE),
		     buffers = (WIRE_PACKETS + PACKET_MAX / PAGE + 1) * PAGE;
	int ret = fe_mem_init(&w->mem, 0, packets + buffers);

	if (ret)
		return ret;
	w->packets = fe_mem_alloc(&w->mem, packets, PAGE);
	w->buffers = fe_mem_alloc(&w->mem, buffers, PAGE);
	if (!w->packets || !w->buffers)
		return -ENOMEM;
	memset(w->buffers, 1, buffers);
	return 0;
}

int wire_open(struct wire *w, const char *ifname, bool bare, unsigned int queue)
{
	int ret;

	*w = (struct wire){ .ifname = ifname, .queue = queue, .sender = -1, .tap = -1 };
	ret = wire_open_memory(w);
	if (ret)
		return ret;
	if (bare)
		w->tap = wire_tap(ifname);
	if (bare && w->tap < 0)
		return w->tap;
	return wire_open_sender(w);
}

void wire_close(struct wire *w)
{
	close_fd(&w->tap);
	close_fd(&w->sender);
	fe_mem_free(&w->mem);
}

/* Of experimental type, or TCP over IPv4; to nobody, so that the host drops it at once. */
void wire_set_size(struct wire *w, unsigned int size)
{
	static const uint8_t eth[12] = { 0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 1 };
	const bool tcp = size > WIRE_WHOLE;
	struct virtio_net_hdr hdr = { 0 };
	uint8_t *p = w->head + WIRE_HDR, *ip = p + 14;
	uint16_t len = htobe16((uint16_t)(size - 14));
	unsigned int i;

	w->size = size;
	memset(w->head, 0, sizeof(w->head));
	memcpy(p, eth, sizeof(eth));
	p[12] = tcp ? 0x08 : 0x88;
	p[13] = tcp ? 0x00 : 0xb5;
	if (tcp) {
		hdr = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = htole16(54), .gso_size = htole16(MSS),
			.csum_start = htole16(34), .csum_offset = htole16(16),
		};
		ip[0] = 0x45;
		memcpy(ip + 2, &len, sizeof(len));
		ip[8] = 64;
		ip[9] = 6;
		ip[12] = ip[16] = 10;
		ip[15] = 1;
		ip[19] = 2;
		ip[20 + 12] = 5 << 4;
	}
	memcpy(w->head, &hdr, sizeof(hdr));
	w->stride = size > WIRE_WHOLE ? ALIGN_UP(WIRE_HDR + size, PAGE) : PAGE / 2;
	/* Written once, or all would be the one page of zeroes. */
	memset(w->packets, 0, WIRE_PACKETS * w->stride);
	for (i = 0; i < WIRE_PACKETS; i++)
		memcpy(w->packets + i * w->stride, w->head, sizeof(w->head));
}

int wire_fill(struct wire *w, unsigned int n)
{
	/* The socket's header has no field for the number of buffers. */
	const size_t short_hdr = sizeof(struct virtio_net_hdr);
	struct iovec iov[2] = { { w->packets, short_hdr },
				{ w->packets + WIRE_HDR, w->size } };
	struct mmsghdr msgs[BATCH];
	unsigned int i;
	int sent;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < BATCH; i++)
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = iov, .msg_iovlen = 2 };
	while (n) {
		sent = sendmmsg(w->sender, msgs, MIN(n, BATCH), 0);
		if (sent <= 0)
			return -errno;
		n -= (unsigned int)sent;
	}
	return 0;
}

uint64_t wire_received(const struct wire *w)
{
	unsigned long long bytes, packets = 0;
	char line[512], *p;
	FILE *f = fopen("/proc/self/net/dev", "re");

	while (f && fgets(line, sizeof(line), f)) {
		for (p = line; *p == ' '; p++)
			;
		if (!strncmp(p, w->ifname, strlen(w->ifname)) && p[strlen(w->ifname)] == ':')
			sscanf(p + strlen(w->ifname) + 1, "%llu %llu", &bytes, &packets);
	}
	if (f)
		fclose(f);
	return packets;
}

int wire_write(struct wire *w, bool whole)
{
	uint8_t *packet = w->packets + w->next++ % WIRE_PACKETS * w->stride;
	struct iovec iov[PACKET_MAX / PAGE + 4] = {
		{ packet, WIRE_HDR }, { packet + WIRE_HDR, w->size },
	};
	size_t off = PIECE_FIRST;
	int cnt = 2;

	if (whole)
		return write(w->tap, packet, WIRE_HDR + w->size) < 0 ? -errno : 0;
	if (w->size > WIRE_WHOLE) {
		iov[1].iov_len = PIECE_FIRST - WIRE_HDR;
		for (; off < WIRE_HDR + w->size; off += iov[cnt++].iov_len)
			iov[cnt] = (struct iovec){ packet + off,
						   MIN(PAGE, WIRE_HDR + w->size - off) };
	}
	return writev(w->tap, iov, cnt) < 0 ? -errno : 0;
}

int wire_read(struct wire *w, uint8_t *buf, size_t size)
{
	struct iovec iov[PACKET_MAX / PAGE + 3];
	size_t left = w->size > WIRE_WHOLE ? PACKET_MAX : size;
	int cnt = 0;

	for (; left; buf += iov[cnt++].iov_len, left -= MIN(left, size))
		iov[cnt] = (struct iovec){ buf, size };
	/* Where the rest goes of one which is longer than what was expected. */
	iov[cnt++] = (struct iovec){ w->packets, WIRE_HDR + PACKET_MAX };
	return readv(w->tap, iov, cnt) < 0 ? -errno : 0;
}

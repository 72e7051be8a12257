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
#define WIRE_SPILL	(WIRE_HDR + PACKET_MAX)
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

/* Of experimental type, or TCP over IPv4; to nobody, so that the host drops it at once. */
static void wire_set_head(struct wire *w)
{
	static const uint8_t eth[12] = { 0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 1 };
	const bool tcp = w->size > WIRE_WHOLE;
	struct virtio_net_hdr hdr = { 0 };
	uint8_t *p = w->head + WIRE_HDR, *ip = p + 14;
	uint16_t len = htobe16((uint16_t)(w->size - 14));

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
}

/* How many buffers a packet of so many bytes takes. */
static unsigned int wire_pieces(const struct wire *w, size_t size)
{
	return (unsigned int)((WIRE_HDR + size + w->received.len - 1) / w->received.len);
}

/* One which is to be written, with its virtio-net header. */
static uint8_t *wire_packet(const struct wire *w, unsigned int i)
{
	return w->packets + i % WIRE_PACKETS * w->sent.stride + w->sent.hdr;
}

/* There are pages already when the clock runs, and each its own: not the one page of zeroes. */
static int wire_open_memory(struct wire *w)
{
	size_t packets, buffers;
	unsigned int i;
	int ret;

	w->sent = load_net_shape(w->size, LOAD_ACTIVE, false);
	w->received = load_net_shape(w->size, LOAD_PASSIVE, false);
	packets = WIRE_PACKETS * w->sent.stride;
	buffers = (WIRE_PACKETS + wire_pieces(w, PACKET_MAX)) * w->received.stride;
	ret = fe_mem_init(&w->mem, 0, ALIGN_UP(packets + buffers + WIRE_SPILL + 3 * PAGE, PAGE));
	if (ret)
		return ret;
	w->packets = fe_mem_alloc(&w->mem, packets, PAGE);
	w->buffers = fe_mem_alloc(&w->mem, buffers, PAGE);
	w->spill = fe_mem_alloc(&w->mem, WIRE_SPILL, PAGE);
	if (!w->packets || !w->buffers || !w->spill)
		return -ENOMEM;
	for (i = 0; i < WIRE_PACKETS; i++)
		memcpy(wire_packet(w, i), w->head, sizeof(w->head));
	return 0;
}

int wire_open(struct wire *w, const char *ifname, bool bare, unsigned int queue,
	      unsigned int size)
{
	int ret;

	*w = (struct wire){ .ifname = ifname, .queue = queue, .size = size, .sender = -1, .tap = -1 };
	wire_set_head(w);
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

int wire_fill(struct wire *w, unsigned int n)
{
	/* The socket's header has no field for the number of buffers. */
	const size_t short_hdr = sizeof(struct virtio_net_hdr);
	struct iovec iov[2] = { { w->head, short_hdr },
				{ wire_packet(w, 0) + WIRE_HDR, w->size } };
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
	uint8_t *packet = wire_packet(w, w->next++);
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

int wire_read(struct wire *w)
{
	uint8_t *buf = w->buffers + w->next % WIRE_PACKETS * w->received.stride;
	struct iovec iov[PACKET_MAX / PAGE + 3];
	/* A back-end knows that long ones come, not how long they are. */
	unsigned int room = wire_pieces(w, w->size > WIRE_WHOLE ? PACKET_MAX : w->size), cnt;

	for (cnt = 0; cnt < room; cnt++, buf += w->received.stride)
		iov[cnt] = (struct iovec){ buf, w->received.len };
	w->next += wire_pieces(w, w->size);
	iov[cnt++] = (struct iovec){ w->spill, WIRE_SPILL };
	return readv(w->tap, iov, (int)cnt) < 0 ? -errno : 0;
}

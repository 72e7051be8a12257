/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks that what goes out on an interface comes back.
 *
 * usage: wire_echo IFNAME PACKETS FLOWS
 *
 * Whoever is at the other end sends each packet back as it is.  These are numbered UDP packets
 * of so many flows and of changing length, at most WINDOW of them on their way.  Each has to come
 * back once, unchanged; the packets of one flow alone in their order, too.  Several flows may be
 * dealt out to queues anew while these are switched on.  At first packets which do not count are
 * sent until one of each flow has come back, since nobody may be there yet.  "PACKETS packets" and
 * status 0 is the end; anything else, or nothing for a long time, is status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define WINDOW		64u
#define FLOWS_MAX	64u
#define FRAME_MIN	60u
#define FRAME_MAX	1514u
#define PORT		4000u		/* of flow 0; the others follow */
#define PROBE		UINT64_MAX	/* the number of what does not count */
#define PROBE_MS	100
#define PATIENCE_S	120

struct head {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	uint64_t seq;
} __attribute__((packed));

struct wire {
	int fd;
	unsigned int flows;
	uint64_t packets, sent, back;
	bool answered[FLOWS_MAX];
	unsigned int answers;		/* flows which are */
	uint64_t window[WINDOW];	/* numbers of those on their way; PROBE: a free place */
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;
	size_t i;

	memcpy(words, ip, sizeof(*ip));
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

static unsigned int flow_of(const struct wire *w, uint64_t seq)
{
	return (unsigned int)(seq % w->flows);
}

/* The packet of this number, or one of a flow which does not count. */
static size_t make_frame(uint64_t seq, unsigned int flow, uint8_t frame[static FRAME_MAX])
{
	size_t i, len = FRAME_MIN + seq * 7919 % (FRAME_MAX - FRAME_MIN + 1);
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
		.tot_len = htons((uint16_t)(len - ETH_HLEN)),
		.saddr = htonl(0x0a090001), .daddr = htonl(0x0a090002),
	};
	struct head head = {
		.eth = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 }, htons(ETH_P_IP) },
		.udp = { .source = htons((uint16_t)(PORT + flow)), .dest = htons(PORT),
			 .len = htons((uint16_t)(len - ETH_HLEN - sizeof(struct iphdr))) },
		.seq = seq,
	};

	ip.check = ip_checksum(&ip);
	head.ip = ip;
	memcpy(frame, &head, sizeof(head));
	for (i = sizeof(head); i < len; i++)
		frame[i] = (uint8_t)(seq + i * 31);
	return len;
}

static void send_frame(const struct wire *w, uint64_t seq, unsigned int flow)
{
	uint8_t frame[FRAME_MAX];
	size_t len = make_frame(seq, flow, frame);

	/* The interface's queue is longer than the window. */
	if (send(w->fd, frame, len, 0) != (ssize_t)len)
		die("send: %s", strerror(errno));
}

/* The place of this number in the window; PROBE: a free one. */
static uint64_t *find_place(struct wire *w, uint64_t seq)
{
	unsigned int i;

	for (i = 0; i < WINDOW && w->window[i] != seq; i++)
		;
	return i < WINDOW ? &w->window[i] : NULL;
}

static void came_back(struct wire *w, uint64_t seq)
{
	uint64_t *place = find_place(w, seq);

	if (!place)
		die("packet %" PRIu64 " is not on its way, %" PRIu64 " are back", seq, w->back);
	if (w->flows == 1 && seq != w->back)
		die("packet %" PRIu64 " came before packet %" PRIu64, seq, w->back);
	*place = PROBE;
	w->back++;
}

static void check_frame(struct wire *w, const uint8_t *found, size_t len)
{
	uint8_t wanted[FRAME_MAX];
	struct head head;
	unsigned int flow;

	/* Others may send something, too. */
	if (len < sizeof(head))
		return;
	memcpy(&head, found, sizeof(head));
	if (head.eth.h_proto != htons(ETH_P_IP) || head.ip.protocol != IPPROTO_UDP ||
	    head.udp.dest != htons(PORT))
		return;
	flow = ntohs(head.udp.source) - PORT;
	if (flow >= w->flows || (head.seq != PROBE && flow != flow_of(w, head.seq)))
		die("a packet came back in another flow");
	if (make_frame(head.seq, flow, wanted) != len || memcmp(wanted, found, len))
		die("packet %" PRIu64 " came back as another one, of %zu bytes", head.seq, len);
	if (head.seq != PROBE) {
		came_back(w, head.seq);
	} else if (!w->answered[flow]) {
		w->answered[flow] = true;
		w->answers++;
	}
}

/* Take what is there; whether something came within the time. */
static bool receive(struct wire *w, int ms)
{
	struct pollfd pfd = { .fd = w->fd, .events = POLLIN };
	uint8_t frame[FRAME_MAX + 1];
	ssize_t n;

	if (poll(&pfd, 1, ms) <= 0)
		return false;
	while ((n = recv(w->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
		if (n <= (ssize_t)FRAME_MAX)
			check_frame(w, frame, (size_t)n);
	}
	return true;
}

/* Until somebody answers, in each flow. */
static void find_other_end(struct wire *w)
{
	time_t end = time(NULL) + PATIENCE_S;
	unsigned int i;

	while (w->answers < w->flows) {
		if (time(NULL) > end)
			die("nobody answers in %u flows of %u", w->flows - w->answers, w->flows);
		for (i = 0; i < w->flows; i++) {
			if (!w->answered[i])
				send_frame(w, PROBE, i);
		}
		receive(w, PROBE_MS);
	}
}

static void exchange(struct wire *w)
{
	uint64_t *place;

	while (w->back < w->packets) {
		while (w->sent < w->packets && (place = find_place(w, PROBE))) {
			*place = w->sent++;
			send_frame(w, *place, flow_of(w, *place));
		}
		if (!receive(w, PATIENCE_S * 1000))
			die("nothing comes any more; %" PRIu64 " of %" PRIu64 " are back", w->back,
			    w->sent);
	}
}

static int open_interface(const char *name)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)))
		die("%s: %s", name, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	static struct wire w;

	if (argc != 4)
		return 2;
	memset(w.window, 0xff, sizeof(w.window));
	w.packets = strtoull(argv[2], NULL, 0);
	w.flows = (unsigned int)strtoul(argv[3], NULL, 0);
	if (!w.flows || w.flows > FLOWS_MAX)
		return 2;
	w.fd = open_interface(argv[1]);
	find_other_end(&w);
	exchange(&w);
	printf("%" PRIu64 " packets\n", w.packets);
	return 0;
}

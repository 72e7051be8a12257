/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send back all packets of the experimental type which come through an interface.
 *
 * usage: reflect IFNAME [spoil]
 *
 * With "spoil" the last byte of each is changed.  It prints a line when it is ready, and goes on
 * until it is ended.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE 0x88b5

int main(int argc, char **argv)
{
	struct sockaddr_ll from, addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(TYPE),
		.sll_ifindex = argc > 1 ? (int)if_nametoindex(argv[1]) : 0,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(TYPE)), room = 16 << 20;
	unsigned char packet[65536];
	socklen_t len;
	ssize_t n;

	if (fd < 0 || !addr.sll_ifindex || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror("reflect");
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	puts("ready");
	fflush(stdout);
	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			return 1;
		if (argc > 2)
			packet[n - 1]++;
		/* Not those which we send ourselves. */
		if (from.sll_pkttype != PACKET_OUTGOING && send(fd, packet, (size_t)n, 0) < 0)
			continue;
	}
}

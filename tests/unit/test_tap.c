/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port to a real tap interface, in a network namespace of this process's own.
 *
 * The other side of the tap is a packet socket bound to the interface.
 */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netdev.h"
#include "net/port.h"
#include "tap.h"
#include "util.h"

#define VERSION_1	BIT(VIRTIO_F_VERSION_1)
#define TIMEOUT_MS	10000

static struct port *port;
static char why[256];

static void enter_namespace(void)
{
	FILE *f;

	ck_assert(!unshare(CLONE_NEWNET));
	/* Nobody but us sends anything there. */
	f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w");
	if (f) {
		fputs("1", f);
		fclose(f);
	}
}

static int try_open(const struct port_params *params)
{
	port = NULL;
	why[0] = '\0';
	return port_tap.open(&port, params, why, sizeof(why));
}

static void open_tap(const struct port_params *params)
{
	int ret = try_open(params);

	ck_assert_msg(!ret, "%s", why);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1), 0);
	port->ops->set_pair(port, 0, true);
}

static void close_tap(void)
{
	port->ops->close(port);
}

static void refused(const struct port_params *params, int err, const char *word)
{
	int ret = try_open(params);

	ck_assert_msg(ret == err, "%s: %d, not %d: %s", word, ret, err, why);
	ck_assert_msg(strstr(why, word) != NULL, "\"%s\" does not say %s", why, word);
}

/* A tap made by somebody else, with this flag besides. */
static int foreign_tap(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(!ioctl(fd, TUNSETIFF, &ifr), "%s", strerror(errno));
	return fd;
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

static void wait_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	ck_assert_int_eq(poll(&pfd, 1, TIMEOUT_MS), 1);
}

static void make_frame(uint8_t *frame, size_t len, uint8_t seed)
{
	size_t i;

	memset(frame, 0xff, 6);
	for (i = 6; i < len; i++)
		frame[i] = (uint8_t)(seed + i);
	frame[6] = 2;
	frame[12] = 0x88, frame[13] = 0xb5;
}

/* A packet to the kernel and one from it, in pieces. */
static void exchange(const char *name, size_t hdr)
{
	uint8_t buf[3000], frame[1000], header[12] = { 0 };
	struct iovec iov[3] = { { header, hdr }, { frame, 100 }, { frame + 100, 900 } };
	int fd = packet_socket(name);
	ssize_t n;

	make_frame(frame, sizeof(frame), 1);
	ck_assert_int_eq(port->ops->tx(port, 0, iov, 3), 0);
	wait_for(fd, POLLIN);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 1000);
	ck_assert_mem_eq(buf, frame, 1000);

	make_frame(frame, sizeof(frame), 9);
	ck_assert_int_eq(send(fd, frame, 1000, 0), 1000);
	iov[0] = (struct iovec){ buf, 5 };
	iov[1] = (struct iovec){ buf + 5, 500 };
	iov[2] = (struct iovec){ buf + 505, 2000 };
	wait_for(port->ops->fd(port, 0), POLLIN);
	n = port->ops->rx(port, 0, iov, 3);
	ck_assert_int_eq(n, (ssize_t)hdr + 1000);
	ck_assert_mem_eq(buf + hdr, frame, 1000);
	ck_assert_int_eq(port->ops->rx(port, 0, iov, 3), -EAGAIN);
	close(fd);
}

START_TEST(created)
{
	const struct port_params params = { .ifname = "tap-a", .pairs = 1, .mtu = 4000, .up = true };
	unsigned int mtu;

	enter_namespace();
	open_tap(&params);
	ck_assert_int_eq(netdev_get_mtu("tap-a", &mtu), 0);
	ck_assert_uint_eq(mtu, 4000);
	exchange("tap-a", 12);
	ck_assert_int_eq(port->ops->set_features(port, 0), 0);
	exchange("tap-a", 10);
	ck_assert_int_eq(port->ops->set_mtu(port, 1280), 0);
	netdev_get_mtu("tap-a", &mtu);
	ck_assert_uint_eq(mtu, 1280);
	close_tap();
	ck_assert(!netdev_exists("tap-a"));
}
END_TEST

START_TEST(attached)
{
	const struct port_params params = { .ifname = "tap-b", .pairs = 1, .up = true };
	int fd, on = 1;

	enter_namespace();
	fd = foreign_tap("tap-b", IFF_TAP | IFF_NO_PI | (_i ? IFF_MULTI_QUEUE : 0));
	ck_assert(!ioctl(fd, TUNSETPERSIST, on));
	close(fd);
	open_tap(&params);
	exchange("tap-b", 12);
	close_tap();
	ck_assert(netdev_exists("tap-b"));
	/* And again, as after a restart. */
	open_tap(&params);
	exchange("tap-b", 12);
	close_tap();
}
END_TEST

START_TEST(inherited)
{
	const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int fd;
	const struct port_params params = { .fds = &fd, .pairs = 1 };

	enter_namespace();
	fd = foreign_tap("tap-c", flags);
	ck_assert_int_eq(netdev_set_up("tap-c"), 0);
	open_tap(&params);
	exchange("tap-c", 12);
	ck_assert_int_eq(port->ops->reopen(port), -EOPNOTSUPP);
	close_tap();
	ck_assert(!netdev_exists("tap-c"));
}
END_TEST

/* What the driver did not choose is not used. */
/* proves: net.offloads */
START_TEST(features)
{
	const uint64_t csum = BIT(VIRTIO_NET_F_GUEST_CSUM), tso = BIT(VIRTIO_NET_F_GUEST_TSO4);
	const struct port_params params = { .ifname = "tap-d", .pairs = 1, .up = true };
	uint64_t some = csum | tso | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_CSUM) |
			BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6);

	enter_namespace();
	open_tap(&params);
	ck_assert_uint_eq(port->ops->features(port) & some, some);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1 | csum | tso), 0);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1 | port->ops->features(port)), 0);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1 | tso), 0);
	exchange("tap-d", 12);
	close_tap();
}
END_TEST

/* What another tap of this kernel takes is what is offered, each offload with what it needs. */
START_TEST(probed)
{
	static const struct {
		unsigned long flags;
		uint64_t features;
	} offloads[] = {
		{ TUN_F_CSUM, BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_CSUM) },
		{ TUN_F_CSUM | TUN_F_TSO4,
		  BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO4) },
		{ TUN_F_CSUM | TUN_F_TSO6,
		  BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_HOST_TSO6) },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN,
		  BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_ECN) },
		{ TUN_F_CSUM | TUN_F_UFO,
		  BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_HOST_UFO) },
		{ TUN_F_CSUM | 0x20 | 0x40, BIT(VIRTIO_NET_F_GUEST_USO4) |
		  BIT(VIRTIO_NET_F_GUEST_USO6) | BIT(VIRTIO_NET_F_HOST_USO) },
	};
	const struct port_params params = { .ifname = "tap-v", .pairs = 1 };
	uint64_t offered;
	size_t i;
	int fd;

	enter_namespace();
	open_tap(&params);
	offered = port->ops->features(port);
	fd = foreign_tap("tap-w", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	for (i = 0; i < ARRAY_SIZE(offloads); i++) {
		bool can = !ioctl(fd, TUNSETOFFLOAD, offloads[i].flags);

		printf("# offload %#lx: %s\n", offloads[i].flags, can ? "yes" : "no");
		ck_assert_uint_eq(offered & offloads[i].features, can ? offloads[i].features : 0);
		/* All alone, as a driver may have it. */
		ck_assert_int_eq(port->ops->set_features(port, VERSION_1 | offloads[i].features), 0);
	}
	ck_assert_uint_eq(offered & ~PORT_OFFLOADS, 0);
	close_tap();
}
END_TEST

START_TEST(several_queues)
{
	const struct port_params params = { .ifname = "tap-e", .pairs = 4, .up = true };
	uint8_t buf[200];
	struct iovec iov = { buf, sizeof(buf) };
	unsigned int i, got = 0;
	int fd;

	enter_namespace();
	open_tap(&params);
	exchange("tap-e", 12);
	fd = packet_socket("tap-e");
	/* With only pair 2 in use all comes there. */
	port->ops->set_pair(port, 0, false);
	port->ops->set_pair(port, 2, true);
	make_frame(buf, 100, 3);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(send(fd, buf, 100, 0), 100);
	for (i = 0; i < 20; i++) {
		wait_for(port->ops->fd(port, 2), POLLIN);
		got += port->ops->rx(port, 2, &iov, 1) == 112;
	}
	ck_assert_uint_eq(got, 20);
	close(fd);
	close_tap();
}
END_TEST

/* Deleted by somebody, and there again. */
/* proves: net.gone */
START_TEST(gone)
{
	const struct port_params params = { .ifname = "tap-f", .pairs = 2, .up = true, .mtu = 2000 };
	struct iovec iov;
	uint8_t buf[100] = { 0 };
	unsigned int mtu;
	int old;

	enter_namespace();
	open_tap(&params);
	old = port->ops->fd(port, 0);
	ck_assert_int_eq(system("ip link del tap-f"), 0);
	iov = (struct iovec){ buf, sizeof(buf) };
	wait_for(old, POLLIN);
	ck_assert_int_eq(port->ops->rx(port, 0, &iov, 1), -ENODEV);
	ck_assert_int_eq(port->ops->tx(port, 1, &iov, 1), -ENODEV);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1), 0);
	ck_assert_int_eq(port->ops->reopen(port), 0);
	ck_assert_int_eq(port->ops->fd(port, 0), old);
	port->ops->set_pair(port, 0, true);
	netdev_get_mtu("tap-f", &mtu);
	ck_assert_uint_eq(mtu, 2000);
	exchange("tap-f", 12);
	close_tap();
}
END_TEST

/* One which was there before is waited for. */
START_TEST(gone_for_now)
{
	const struct port_params params = { .ifname = "tap-g", .pairs = 1, .up = true };
	int fd;

	enter_namespace();
	fd = foreign_tap("tap-g", IFF_TAP | IFF_NO_PI);
	ck_assert(!ioctl(fd, TUNSETPERSIST, 1));
	close(fd);
	open_tap(&params);
	ck_assert_int_eq(system("ip link del tap-g"), 0);
	ck_assert_int_eq(port->ops->reopen(port), -ENODEV);
	ck_assert(!netdev_exists("tap-g"));
	fd = foreign_tap("tap-g", IFF_TAP | IFF_NO_PI);
	ck_assert(!ioctl(fd, TUNSETPERSIST, 1));
	close(fd);
	ck_assert_int_eq(port->ops->reopen(port), 0);
	port->ops->set_pair(port, 0, true);
	exchange("tap-g", 12);
	close_tap();
}
END_TEST

/* Whether there are news of the link: what has happened is there to be read at once. */
static bool has_news(void)
{
	struct pollfd pfd = { .fd = port->ops->link_fd(port), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* Set down, up and deleted by somebody; packets meanwhile are an error of their own. */
/* proves: net.link */
START_TEST(link_of_it)
{
	const struct port_params params = { .ifname = "tap-q", .pairs = 1 };
	uint8_t buf[100] = { 0 };
	struct iovec iov = { buf, sizeof(buf) };

	enter_namespace();
	open_tap(&params);
	ck_assert_int_eq(port->ops->link(port), PORT_DOWN);
	ck_assert_int_eq(port->ops->tx(port, 0, &iov, 1), -ENETDOWN);
	ck_assert(!has_news());
	ck_assert_int_eq(netdev_set_up("tap-q"), 0);
	ck_assert(has_news());
	ck_assert_int_eq(port->ops->link(port), PORT_UP);
	ck_assert(!has_news());
	exchange("tap-q", 12);
	/* What happens to others is no news. */
	ck_assert_int_eq(system("ip link set lo up && ip tuntap add other mode tap &&"
				"ip link set other up && ip link del other"), 0);
	ck_assert(!has_news());

	ck_assert_int_eq(system("ip link set tap-q down"), 0);
	ck_assert(has_news());
	ck_assert_int_eq(port->ops->link(port), PORT_DOWN);
	ck_assert_int_eq(port->ops->tx(port, 0, &iov, 1), -ENETDOWN);
	ck_assert_int_eq(system("ip link del tap-q"), 0);
	ck_assert(has_news());
	ck_assert_int_eq(port->ops->link(port), PORT_GONE);
	ck_assert(!has_news());
	/* The new one has another number. */
	ck_assert_int_eq(port->ops->reopen(port), 0);
	ck_assert_int_eq(port->ops->link(port), PORT_DOWN);
	port->ops->set_pair(port, 0, true);
	ck_assert_int_eq(system("ip link set tap-q up"), 0);
	ck_assert(has_news());
	ck_assert_int_eq(port->ops->link(port), PORT_UP);
	exchange("tap-q", 12);
	close_tap();
}
END_TEST

/* With many queues of which none is in use, too. */
START_TEST(link_of_several_queues)
{
	const struct port_params params = { .ifname = "tap-r", .pairs = 3, .up = true };

	enter_namespace();
	ck_assert_int_eq(try_open(&params), 0);
	ck_assert_int_eq(port->ops->link(port), PORT_UP);
	ck_assert_int_eq(system("ip link del tap-r"), 0);
	ck_assert_int_eq(port->ops->link(port), PORT_GONE);
	close_tap();
}
END_TEST

/* An interface of another namespace goes on, and one of its name here is left alone. */
START_TEST(elsewhere)
{
	struct port_params params = { .ifname = "tap-s", .pairs = 1, .up = true };
	unsigned int mtu;
	int fd;

	enter_namespace();
	open_tap(&params);
	ck_assert_int_eq(port->ops->link(port), PORT_UP);
	ck_assert_int_eq(system("unshare -n sleep 60 & pid=$!;"
				"until [ \"$(readlink /proc/$pid/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ];"
				"do :; done; ip link set tap-s netns $pid; status=$?;"
				"ip link show tap-s 2>/dev/null && status=1; kill $pid; exit $status"), 0);
	/* When its new namespace goes, it does. */
	while (port->ops->link(port) != PORT_GONE)
		sched_yield();
	close_tap();

	fd = foreign_tap("tap-t", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	enter_namespace();
	ck_assert_int_ge(foreign_tap("tap-t", IFF_TAP | IFF_NO_PI), 0);
	params = (struct port_params){ .fds = &fd, .pairs = 1 };
	ck_assert_int_eq(try_open(&params), 0);
	ck_assert_int_eq(port->ops->link(port), PORT_UP);
	ck_assert_int_eq(port->ops->set_mtu(port, 1000), -EOPNOTSUPP);
	netdev_get_mtu("tap-t", &mtu);
	ck_assert_uint_eq(mtu, 1500);
	close_tap();
}
END_TEST

/* Whatever a header says which was found to be good, the kernel takes it or says no. */
/* proves: net.checksum-offsets */
START_TEST(any_header)
{
	const struct port_params params = { .ifname = "tap-u", .pairs = 1, .up = true };
	uint64_t state = 1, all;
	uint8_t frame[2000];
	struct virtio_net_hdr_v1 hdr;
	struct iovec iov[2] = { { &hdr, 12 }, { frame, sizeof(frame) } };
	unsigned int i, good = 0, taken = 0;

	enter_namespace();
	open_tap(&params);
	all = VERSION_1 | port->ops->features(port);
	ck_assert_int_eq(port->ops->set_features(port, all), 0);
	for (i = 0; i < 200000; i++) {
		uint8_t *bytes = (uint8_t *)&hdr;
		size_t j;

		/* A header near the possible, with one byte of it anything; the same of the packet. */
		state = state * 6364136223846793005u + 1442695040888963407u;
		hdr = (struct virtio_net_hdr_v1){ .flags = state >> 60 & 1, .gso_type = state >> 56 & 7,
			.hdr_len = htole16(54), .gso_size = htole16(state >> 40 & 2047),
			.csum_start = htole16(34), .csum_offset = htole16(16) };
		bytes[(state >> 32) % 10] = (uint8_t)(state >> 24);
		make_frame(frame, 64, (uint8_t)i);
		frame[12] = 0x08, frame[13] = 0, frame[14] = 0x45, frame[23] = state >> 55 & 1 ? 6 : 17;
		frame[12 + (state >> 48) % 50] = (uint8_t)(state >> 16);
		j = 14 + (state >> 33) % (sizeof(frame) - 14);
		iov[1].iov_len = j;
		if (!hdr_judge(&hdr, j, all))
			continue;
		good++;
		taken += !port->ops->tx(port, 0, iov, 2);
	}
	ck_assert_uint_gt(good, 10000);
	ck_assert_uint_gt(taken, 1000);
	ck_assert_int_eq(port->ops->set_features(port, VERSION_1), 0);
	exchange("tap-u", 12);
	close_tap();
}
END_TEST

START_TEST(bridged)
{
	struct port_params params = { .ifname = "tap-h", .pairs = 1, .up = true, .bridge = "br-a" };

	enter_namespace();
	refused(&params, -ENODEV, "no such bridge");
	ck_assert(!netdev_exists("tap-h"));
	if (system("ip link add br-a type bridge && ip link add br-b type bridge")) {
		printf("# no bridges here\n");
		return;
	}
	open_tap(&params);
	ck_assert_int_eq(system("ip -o link show master br-a | grep -q tap-h"), 0);
	/* It stays in the first one. */
	ck_assert_int_eq(netdev_add_to_bridge("tap-h", "br-a"), 0);
	ck_assert_int_eq(netdev_add_to_bridge("tap-h", "br-b"), -EBUSY);
	ck_assert_int_eq(system("ip -o link show master br-a | grep -q tap-h"), 0);
	close_tap();
	params.bridge = "lo";
	refused(&params, -EOPNOTSUPP, "no such bridge");
}
END_TEST

START_TEST(bad)
{
	struct port_params params = { .pairs = 1 };
	int fds[2], on = 1;

	enter_namespace();
	params.ifname = "lo";
	refused(&params, -EINVAL, "not a tap");
	params.ifname = "a-name-too-long-";
	refused(&params, -EINVAL, "longer than 15");
	params.ifname = "tap/x";
	refused(&params, -EINVAL, "not a tap");
	foreign_tap("tun-a", IFF_TUN | IFF_NO_PI);
	params.ifname = "tun-a";
	refused(&params, -EINVAL, "not a tap");
	fds[0] = foreign_tap("tap-i", IFF_TAP | IFF_NO_PI);
	params.ifname = "tap-i";
	refused(&params, -EBUSY, "another process");
	params.pairs = 4;
	refused(&params, -EINVAL, "one queue, fewer than --queue-pairs=4");
	ck_assert(!ioctl(fds[0], TUNSETPERSIST, on));
	close(fds[0]);
	refused(&params, -EINVAL, "one queue, fewer than --queue-pairs=4");
	params = (struct port_params){ .ifname = "tap-k", .pairs = 1, .mtu = 65535 + 1 };
	refused(&params, -EINVAL, "--mtu=65536");
	ck_assert(!netdev_exists("tap-k"));

	params = (struct port_params){ .fds = fds, .pairs = 1 };
	fds[0] = 999;
	refused(&params, -EBADF, "999: no such");
	fds[0] = STDERR_FILENO;
	refused(&params, -EINVAL, "not a tap");
	fds[0] = foreign_tap("tap-l", IFF_TAP | IFF_NO_PI);
	refused(&params, -EINVAL, "IFF_VNET_HDR");
	fds[0] = foreign_tap("tun-b", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	refused(&params, -EINVAL, "IFF_TAP");
	fds[0] = foreign_tap("tap-n", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	fds[1] = foreign_tap("tap-o", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	params.pairs = 2;
	refused(&params, -EINVAL, "another interface");
	fds[1] = fds[0];
	refused(&params, -EINVAL, "given twice");
	/* They are still the caller's. */
	ck_assert_int_ge(fcntl(fds[0], F_GETFD), 0);
}
END_TEST

/* Without the privilege. */
START_TEST(not_permitted)
{
	const struct port_params params = { .ifname = "tap-p", .pairs = 1 };

	enter_namespace();
	ck_assert(!setuid(65534));
	refused(&params, -EPERM, "not permitted");
}
END_TEST

static const char *why_not(void)
{
	if (geteuid())
		return "a network namespace takes root";
	if (access("/dev/net/tun", R_OK | W_OK))
		return "there is no /dev/net/tun";
	return NULL;
}

int main(void)
{
	Suite *suite = suite_create("tap");
	TCase *tc = tcase_create("tap");

	if (why_not()) {
		printf("1..0 # SKIP %s\n", why_not());
		return 0;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, created);
	tcase_add_loop_test(tc, attached, 0, 2);
	tcase_add_test(tc, inherited);
	tcase_add_test(tc, features);
	tcase_add_test(tc, probed);
	tcase_add_test(tc, several_queues);
	tcase_add_test(tc, gone);
	tcase_add_test(tc, gone_for_now);
	tcase_add_test(tc, link_of_it);
	tcase_add_test(tc, link_of_several_queues);
	tcase_add_test(tc, elsewhere);
	tcase_add_test(tc, any_header);
	tcase_add_test(tc, bridged);
	tcase_add_test(tc, bad);
	tcase_add_test(tc, not_permitted);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}

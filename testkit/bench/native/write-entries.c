/* The floor of `program`: the three entries of made-up VMs (see core-host.ts) by rtnetlink, so many messages in one send, of which
   the last is acknowledged.
     write-entries <ifindex of the vxlan device> <first VM> <VMs> <put or delete> <messages in a send>
   prints seconds of CPU, then of the clock */
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { maxMessages = 64, maxMessageBytes = 96, ourProtocol = 78 };

static int fd, ifindex, deletes, perSend;
static char bytes[maxMessages * maxMessageBytes];
static int used, messages;
static unsigned sequence;
static struct nlmsghdr *last;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void add(const void *data, int length) {
  memcpy(bytes + used, data, length);
  memset(bytes + used + length, 0, NLMSG_ALIGN(length) - length);
  used += NLMSG_ALIGN(length);
}

static void attribute(int type, const void *data, int length) {
  struct rtattr head = {.rta_type = type, .rta_len = RTA_LENGTH(length)};
  add(&head, sizeof head);
  add(data, length);
}

/* The kernel reports each failure unasked. */
static void flush(void) {
  static char answer[65536];
  if (messages == 0) return;
  last->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, bytes, used, 0) != used) fail("send");
  for (;;) {
    int length = recv(fd, answer, sizeof answer, 0);
    if (length < 0) fail("recv");
    struct nlmsghdr *head = (struct nlmsghdr *)answer;
    for (; NLMSG_OK(head, length); head = NLMSG_NEXT(head, length)) {
      struct nlmsgerr *error = NLMSG_DATA(head);
      if (head->nlmsg_type == NLMSG_ERROR && error->error != 0) {
        fprintf(stderr, "the kernel refused: %s\n", strerror(-error->error));
        exit(1);
      }
      if (head->nlmsg_seq == sequence) {
        used = messages = 0;
        return;
      }
    }
  }
}

static void begin(int family, int state, int flags) {
  if (messages == perSend) flush();
  struct nlmsghdr head = {.nlmsg_type = deletes ? RTM_DELNEIGH : RTM_NEWNEIGH, .nlmsg_seq = ++sequence};
  struct ndmsg body = {.ndm_family = family, .ndm_ifindex = ifindex, .ndm_state = state, .ndm_flags = flags};
  head.nlmsg_flags = NLM_F_REQUEST | (deletes ? 0 : NLM_F_CREATE | NLM_F_REPLACE);
  last = (struct nlmsghdr *)(bytes + used);
  add(&head, sizeof head);
  add(&body, sizeof body);
}

static void end(void) {
  last->nlmsg_len = bytes + used - (char *)last;
  messages++;
}

static void writeVm(unsigned vm) {
  unsigned char mac[6] = {0x52, 0x54, 0, vm >> 16, vm >> 8, vm};
  unsigned char ip[4] = {10, vm >> 16, vm >> 8, vm};
  unsigned char vtep[4] = {192, 0, 2, 10 + vm % 10}, protocol = ourProtocol;
  unsigned short port = htons(4789);
  begin(AF_BRIDGE, NUD_PERMANENT, NTF_SELF | NTF_EXT_LEARNED);
  attribute(NDA_LLADDR, mac, 6);
  attribute(NDA_DST, vtep, 4);
  attribute(NDA_PORT, &port, 2);
  end();
  begin(AF_BRIDGE, NUD_NOARP, NTF_MASTER | NTF_EXT_LEARNED);
  attribute(NDA_LLADDR, mac, 6);
  end();
  begin(AF_INET, NUD_PERMANENT, 0);
  attribute(NDA_DST, ip, 4);
  attribute(NDA_LLADDR, mac, 6);
  attribute(NDA_PROTOCOL, &protocol, 1);
  end();
}

static double secondsOf(struct timeval time) {
  return time.tv_sec + time.tv_usec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  ifindex = atoi(argv[1]);
  unsigned first = atoi(argv[2]), count = atoi(argv[3]);
  deletes = strcmp(argv[4], "delete") == 0;
  perSend = atoi(argv[5]);
  if (perSend < 1 || perSend > maxMessages) return 2;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0) fail("netlink");
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (unsigned vm = first; vm < first + count; vm++) writeVm(vm);
  flush();
  clock_gettime(CLOCK_MONOTONIC, &to);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double wall = to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
  printf("%.6f %.6f\n", secondsOf(usage.ru_utime) + secondsOf(usage.ru_stime), wall);
  return 0;
}

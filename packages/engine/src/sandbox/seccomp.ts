/**
 * A filter of system calls (seccomp, classic BPF; seccomp(2), linux/filter.h) for a process that computes and talks over pipes that it was
 * given: refused are those by which a process reaches beyond itself. Pure; the bytes are what bubblewrap's `--seccomp` takes.
 */

/** Numbers of system calls on x86-64 and on AArch64 (undefined: it has none), from linux/unistd.h. */
type Numbers = readonly [x64: number | undefined, arm64: number | undefined]

/** Refused with EPERM. */
const REFUSED: Readonly<Record<string, Numbers>> = {
  // Sockets: what it may talk over it has from the start.
  socket: [41, 198],
  socketpair: [53, 199],
  connect: [42, 203],
  bind: [49, 200],
  listen: [50, 201],
  accept: [43, 202],
  accept4: [288, 242],
  // Other processes.
  fork: [57, undefined],
  vfork: [58, undefined],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  kcmp: [312, 272],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  pidfd_send_signal: [424, 424],
  // Namespaces and mounts.
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  move_mount: [429, 429],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  statmount: [457, 457],
  listmount: [458, 458],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  fanotify_init: [300, 262],
  fanotify_mark: [301, 263],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  mknod: [133, undefined],
  mknodat: [259, 33],
  // Parts of the kernel that have often been the way out.
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_setup: [206, 0],
  io_submit: [209, 2],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  vmsplice: [278, 75],
  memfd_secret: [447, 447],
  memfd_create: [319, 279],
  move_pages: [279, 239],
  migrate_pages: [256, 238],
  personality: [135, 92],
  modify_ldt: [154, undefined],
  uselib: [134, undefined],
  ustat: [136, undefined],
  sysfs: [139, undefined],
  _sysctl: [156, undefined],
  lookup_dcookie: [212, 18],
  nfsservctl: [180, 42],
  // Memory and messages shared beside pipes.
  shmget: [29, 194],
  shmat: [30, 196],
  shmctl: [31, 195],
  semget: [64, 190],
  msgget: [68, 186],
  mq_open: [240, 180],
  // The machine itself.
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  create_module: [174, undefined],
  query_module: [178, undefined],
  get_kernel_syms: [177, undefined],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  acct: [163, 89],
  syslog: [103, 116],
  vhangup: [153, 58],
  // Its own place in the queue for the CPU: the parent put it last.
  sched_setscheduler: [144, 119],
  sched_setparam: [142, 118],
  sched_setattr: [314, 274],
  setpriority: [141, 140],
  ioprio_set: [251, 30],
}

const CLONE: Numbers = [56, 220]
const CLONE3: Numbers = [435, 435]
const IOCTL: Numbers = [16, 29]

const CLONE_THREAD = 0x0001_0000
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; NEWTIME is that of clone3 alone. */
const CLONE_NEW = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000
/** Types into the terminal of the owner: TIOCSTI, TIOCLINUX. */
const TERMINAL = [0x5412, 0x541c]
/** Above these are the calls of x32, a second set of numbers for the same. */
const X32_BIT = 0x4000_0000

const EPERM = 1
const ENOSYS = 38
const ALLOW = 0x7fff_0000
const KILL_PROCESS = 0x8000_0000
const ERRNO = 0x0005_0000

/** Offsets in `struct seccomp_data`: the call's number, the architecture, the lower halves of arguments 0 and 1. */
const [NR, ARCH, ARG0, ARG1] = [0, 4, 16, 24]
/** BPF_LD|W|ABS, BPF_JMP|JEQ|K, JGE|K, JSET|K, BPF_RET|K. */
const [LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06]

const ARCHITECTURES = { x64: { audit: 0xc000_003e, at: 0 }, arm64: { audit: 0xc000_00b7, at: 1 } } as const

export interface SeccompFilter {
  /** An array of `struct sock_filter`, little-endian. */
  bytes: Uint8Array<ArrayBuffer>
  /** Kinds of system calls that are refused. */
  refused: number
}

/** The filter for Node's name of an architecture; undefined where there is none. */
export function seccompFilter(arch: string): SeccompFilter | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined
  const { audit, at } = ARCHITECTURES[arch]
  const refused = Object.values(REFUSED)
    .map((numbers) => numbers[at])
    .filter((number) => number !== undefined)
  const program: [code: number, ifTrue: number, ifFalse: number, value: number][] = []
  const add = (code: number, value: number, ifTrue = 0, ifFalse = 0): void =>
    void program.push([code, ifTrue, ifFalse, value])
  const refuse = (errno: number): void => add(RETURN, ERRNO | errno)

  add(LOAD, ARCH)
  add(IF_EQUAL, audit, 1, 0)
  add(RETURN, KILL_PROCESS)
  add(LOAD, NR)
  if (arch === 'x64') {
    add(IF_AT_LEAST, X32_BIT, 0, 1)
    refuse(EPERM)
  }
  for (const number of refused) {
    add(IF_EQUAL, number, 0, 1)
    refuse(EPERM)
  }
  // Its flags lie in memory, where a filter cannot look: callers fall back to clone.
  add(IF_EQUAL, CLONE3[at]!, 0, 1)
  refuse(ENOSYS)
  // Threads only, and no namespaces.
  add(IF_EQUAL, CLONE[at]!, 0, 5)
  add(LOAD, ARG0)
  add(IF_ANY, CLONE_NEW, 1, 0)
  add(IF_ANY, CLONE_THREAD, 1, 0)
  refuse(EPERM)
  add(RETURN, ALLOW)
  add(IF_EQUAL, IOCTL[at]!, 0, 4)
  add(LOAD, ARG1)
  add(IF_EQUAL, TERMINAL[0]!, 1, 0)
  add(IF_EQUAL, TERMINAL[1]!, 0, 1)
  refuse(EPERM)
  add(RETURN, ALLOW)

  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [i, [code, ifTrue, ifFalse, value]] of program.entries()) {
    view.setUint16(i * 8, code, true)
    view.setUint8(i * 8 + 2, ifTrue)
    view.setUint8(i * 8 + 3, ifFalse)
    view.setUint32(i * 8 + 4, value, true)
  }
  return { bytes, refused: refused.length + 2 }
}

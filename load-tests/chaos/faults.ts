/**
 * Faults of the network under chaos, and the members that each may hit.
 * @module
 */
import type { Random } from '../../test/support/random.ts';
import type { Member, Network, Role } from './network.ts';

export interface Fault {
  /** Such as `stopped:shield`. */
  readonly name: string;
  readonly says: string;
  readonly victim: Member;
  begin(): Promise<void>;
  end(): Promise<void>;
}

interface FaultKind {
  readonly roles: readonly Role[];
  readonly says: string;
  /** Begins it. @returns What ends it. */
  begin(victim: Member): Promise<() => Promise<void> | void>;
}

const NODES = ['edge', 'shield', 'control'] as const;
const ALL = [...NODES, 'origin'] as const;

const HOUR_MS = 3_600_000;

/** A slowed process runs for a fifth of the time. */
const SLOWED = { stoppedMs: 40, runningMs: 10 };

const KINDS: Readonly<Record<string, FaultKind>> = {
  killed: {
    roles: ALL,
    says: 'SIGKILL, then started again',
    async begin(victim) {
      await victim.kill();
      return () => victim.start();
    },
  },
  stopped: {
    roles: ALL,
    says: 'SIGSTOP, then SIGCONT',
    async begin(victim) {
      victim.signal('SIGSTOP');
      return () => victim.signal('SIGCONT');
    },
  },
  refused: {
    roles: ALL,
    says: 'no way to it nor from it, and its neighbours are told so',
    begin: (victim) => cut(victim, 'refused'),
  },
  dropped: { roles: ALL, says: 'packets to it and from it disappear', begin: (victim) => cut(victim, 'dropped') },
  slowed: {
    roles: ['edge', 'shield', 'origin'],
    says: `its process stands still for ${SLOWED.stoppedMs} of ${SLOWED.stoppedMs + SLOWED.runningMs} ms`,
    async begin(victim) {
      let isOver = false;
      const turn = (isStopped: boolean): void => {
        if (isOver) return;
        victim.signal(isStopped ? 'SIGSTOP' : 'SIGCONT');
        setTimeout(turn, isStopped ? SLOWED.stoppedMs : SLOWED.runningMs, !isStopped);
      };
      turn(true);
      return () => {
        isOver = true;
        victim.signal('SIGCONT');
      };
    },
  },
  late: {
    roles: ['origin'],
    says: 'half a second before each response',
    begin: (victim) => become(victim, 'slow'),
  },
  garbage: {
    roles: ['edge', 'shield', 'origin'],
    says: 'in the place of responses it sends bytes that are none',
    async begin(victim) {
      if (victim.role === 'origin') return become(victim, 'garbage');
      const end = await victim.replaceByGarbage();
      return async () => {
        await end();
        await victim.start();
      };
    },
  },
  broken: {
    roles: ['origin'],
    says: 'its bodies break off in the middle',
    begin: (victim) => become(victim, 'broken'),
  },
  errors: { roles: ['origin'], says: 'it answers 503', begin: (victim) => become(victim, 'errors') },
  full: {
    roles: NODES,
    says: 'its file system has no space left',
    async begin(victim) {
      await victim.volume?.fill();
      return () => victim.volume?.empty();
    },
  },
  ahead: { roles: NODES, says: 'its clock is an hour ahead', begin: (victim) => moveClock(victim, HOUR_MS) },
  behind: { roles: NODES, says: 'its clock is an hour behind', begin: (victim) => moveClock(victim, -HOUR_MS) },
};

async function cut(victim: Member, how: 'refused' | 'dropped'): Promise<() => Promise<void>> {
  await victim.host.cut(how);
  return () => victim.host.heal();
}

async function become(victim: Member, mode: 'slow' | 'garbage' | 'broken' | 'errors'): Promise<() => Promise<void>> {
  await victim.become(mode);
  return () => victim.become('well');
}

async function moveClock(victim: Member, aheadMs: number): Promise<() => void> {
  victim.moveClock(aheadMs);
  return () => victim.moveClock(0);
}

/** Names of faults with the members that they may hit, such as `stopped:shield`, in the order of the table. */
export const FAULT_NAMES: readonly string[] = Object.entries(KINDS).flatMap(([kind, { roles }]) =>
  roles.map((role) => `${kind}:${role}`),
);

export const KIND_NAMES: readonly string[] = Object.keys(KINDS);

/** Lines for the help. */
export function describeKinds(): string {
  return Object.entries(KINDS)
    .map(([kind, { roles, says }]) => `  ${kind.padEnd(9)} ${says} (${roles.join(', ')})`)
    .join('\n');
}

/**
 * Returns the named faults in random order, each at a random member of its role.
 *
 * @param wanted - Names such as `stopped`, for all members that it may hit, or `stopped:shield`; empty: all.
 * @param times - Number of times that each of them comes.
 */
export function drawFaults(drawing: {
  readonly wanted: readonly string[];
  readonly times: number;
  readonly network: Network;
  readonly random: Random;
}): Fault[] {
  const { wanted, times, network, random } = drawing;
  const names = FAULT_NAMES.filter(
    (name) => wanted.length === 0 || wanted.includes(name) || wanted.includes(name.split(':')[0] as string),
  );
  const repeated = Array.from({ length: times }, () => names).flat();
  return shuffled(repeated, random).map((name) => drawFault(name, network, random));
}

/** Returns each fault with another one of them, at another member. */
export function drawPairs(faults: readonly Fault[], random: Random): Fault[][] {
  return faults.flatMap((first) => {
    const others = faults.filter(({ victim }) => victim !== first.victim);
    const second = others[Math.floor(random() * others.length)];
    return second === undefined ? [] : [[first, second]];
  });
}

function drawFault(name: string, { members }: Network, random: Random): Fault {
  const [kind = '', role = ''] = name.split(':');
  const { says, begin } = KINDS[kind] as FaultKind;
  const candidates = members.filter((member) => member.role === role);
  const victim = candidates[Math.floor(random() * candidates.length)] as Member;
  let end: (() => Promise<void> | void) | undefined;
  return {
    name,
    says,
    victim,
    async begin() {
      end = await begin(victim);
    },
    async end() {
      await end?.();
    },
  };
}

/** Fisher and Yates. */
function shuffled<T>(list: readonly T[], random: Random): T[] {
  const mixed = [...list];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other] as T, mixed[last] as T];
  }
  return mixed;
}

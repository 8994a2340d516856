/** The command that runs another on one core alone (Linux: taskset); without a core, the command itself. */
export const onCore = (core: number | undefined, command: [string, ...string[]]): [string, ...string[]] =>
  core === undefined ? command : ['taskset', '-c', String(core), ...command]

/**
 * An owner's way to a contributor on this machine, without the contributor itself: its settings' words and file, and its control API.
 * Commands that only ask or tell stay small with it.
 * @module
 */
export { type ControlClient, findContributor, pageAddress } from './control/client.ts'
export { CONTROL_FILE } from './control/control-file.ts'
export { readMachine } from './owner/machine.ts'
export { weekMinute } from './owner/schedule.ts'
export type { OwnerSettings } from './owner/settings.ts'
export { readSettingsWords, SETTINGS_FILE, SettingsFile } from './owner/settings-file.ts'
export {
  type Machine,
  printSettings,
  readAssignment,
  readWords,
  resolveSettings,
  settingsView,
  WORD_NAMES,
  WORDS,
  type WordName,
  type Words,
  type WordValue,
  wordName,
  wordText,
} from './owner/words.ts'
export { RELEASE_POLICY, type ReleasePolicy } from './update/keys.ts'
export {
  cameUp,
  checkUpdate,
  newestProven,
  startInstalled,
  type UpdateCheck,
  type UpdateOptions,
  type UpdateResult,
  update,
} from './update/update.ts'

import type { ReactNode } from 'react'
import type { ThemeChoice } from '../hooks/use-theme.ts'

const CHOICES: { value: ThemeChoice; label: string; icon: ReactNode }[] = [
  {
    value: 'light',
    label: 'Light',
    icon: (
      <>
        <circle cx="8" cy="8" r="2.8" />
        <path d="M8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M12.600 3.400l-.9.9M4.300 11.700l-.9.9" />
      </>
    ),
  },
  {
    value: 'system',
    label: 'As the system',
    icon: (
      <>
        <rect x="1.800" y="2.800" width="12.400" height="8.400" rx="1.400" />
        <path d="M5.500 13.800h5" />
      </>
    ),
  },
  {
    value: 'dark',
    label: 'Dark',
    icon: <path d="M13.200 9.700A5.600 5.600 0 0 1 6.300 2.800a5.600 5.600 0 1 0 6.900 6.900z" />,
  },
]

/** Light, dark, or what the system says. */
export function ThemeSwitch({ choice, choose }: { choice: ThemeChoice; choose: (choice: ThemeChoice) => void }) {
  return (
    <fieldset className="theme-switch">
      <legend className="visually-hidden">Theme</legend>
      {CHOICES.map(({ value, label, icon }) => (
        <label key={value} title={label}>
          <input
            type="radio"
            name="theme"
            value={value}
            checked={choice === value}
            onChange={() => choose(value)}
            aria-label={label}
          />
          <svg
            viewBox="0 0 16 16"
            aria-hidden="true"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.4"
            strokeLinecap="round"
            strokeLinejoin="round"
          >
            {icon}
          </svg>
        </label>
      ))}
    </fieldset>
  )
}

// The reference of the library as one page: what the comments in the emitted types say, in the order of a reader.
// A page for each symbol, as api-documenter writes it, would be some four hundred files for a face of this size.

const HEADER = `# The library

<!-- Generated from the types of the package by \`npm run docs\`. Do not edit this page. -->

\`\`\`ts
import { connect } from 'orch';
\`\`\`

Times are ISO 8601 texts or \`Date\`, durations are milliseconds and end in \`Ms\`. Whatever fails throws an
[OrchError](#orcherror) whose \`code\` is one of a closed list. Records may have fields beyond the ones listed here, which
a newer version wrote. Runnable programs are in \`examples/\`. \`orch/protocol\` holds the schemas of these records, the
subjects and the names, without a connection; \`subjects.md\` describes them.
`;

/** Renders the model of the library as Markdown. */
export function renderReference(model) {
  const symbols = model.members[0].members;
  const named = (...kinds) => symbols.filter(({ kind }) => kinds.includes(kind));
  const face = symbols.find(({ name }) => name === 'Orch');
  const sections = [
    ['Functions', named('Function').map(renderFunction)],
    ['Orch', [`${proseOf(face)}\n`, ...face.members.map(renderFunction)]],
    [
      'Classes',
      named('Class')
        .filter(symbol => symbol !== face)
        .map(renderFields),
    ],
    ['What is given and returned', named('Interface').map(renderFields)],
    ['Words and unions', named('TypeAlias', 'Variable').map(renderFunction)],
  ];
  return [HEADER, ...sections.flatMap(([title, parts]) => [`## ${title}\n`, ...parts])].join('\n');
}

function renderFunction(symbol) {
  return `### ${symbol.name}\n\n\`\`\`ts\n${signatureOf(symbol)}\n\`\`\`\n\n${proseOf(symbol)}${linksOf(symbol)}\n`;
}

function renderFields(symbol) {
  const rows = symbol.members.map(member =>
    [`\`${shortOf(member)}\``, typeOf(member), proseOf(member).replace(/\n+/g, ' ')].map(cell),
  );
  const table = rows.map(cells => `| ${cells.join(' | ')} |\n`).join('');
  const base = basesOf(symbol);
  return `### ${symbol.name}\n\n${proseOf(symbol)}${base}\n${table && `\n| | | |\n|---|---|---|\n${table}`}`;
}

const textOf = tokens => tokens.map(({ text }) => text).join('');

const signatureOf = ({ excerptTokens }) =>
  textOf(excerptTokens)
    .replace(/^export (declare )?/, '')
    .replace(/;$/, '');

// A field without its type; a method with its parameters.
function shortOf(member) {
  const { name, isOptional, kind, excerptTokens } = member;
  if (kind === 'Constructor') return textOf(excerptTokens).replace(/;$/, '').replace(/\s+/g, ' ');
  if (kind.startsWith('Method')) return textOf(excerptTokens).replace(/\): [^)]*$/, ')');
  return `${name}${isOptional ? '?' : ''}`;
}

function typeOf(member) {
  const range = member.propertyTypeTokenRange ?? member.returnTypeTokenRange;
  if (!range) return '';
  const type = member.excerptTokens.slice(range.startIndex, range.endIndex).map(linked).join('');
  return type.replace(/`readonly`\[/g, '`readonly` [');
}

const isOwn = ({ canonicalReference = '' }) => canonicalReference.startsWith('orch!');
const linkTo = ({ text }) => `[\`${text}\`](#${text.toLowerCase()})`;

function linked(token) {
  if (isOwn(token)) return linkTo(token);
  const text = token.text.replace(/\s+/g, ' ').trim();
  return text === '' ? '' : `\`${text}\``;
}

function linksOf({ excerptTokens }) {
  const names = new Map(excerptTokens.filter(isOwn).map(token => [token.text, linkTo(token)]));
  return names.size === 0 ? '' : `\n\nTypes: ${[...names.values()].join(', ')}.`;
}

function basesOf({ excerptTokens, extendsTokenRanges = [] }) {
  const names = extendsTokenRanges.flatMap(range => excerptTokens.slice(range.startIndex, range.endIndex));
  const bases = names.filter(isOwn).map(linkTo);
  return bases.length === 0 ? '' : ` It has the fields of ${bases.join(' and ')} too.`;
}

/** The text of a comment, a paragraph a line. */
function proseOf({ docComment = '' }) {
  const lines = docComment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map(line => line.replace(/^\s*\* ?/, '').trimEnd())
    .filter(line => line !== '@example');
  // What the extractor puts where a constructor has no comment.
  return lines
    .join('\n')
    .trim()
    .replace(/^Constructs a new instance of .*$/, '');
}

const cell = text => text.replaceAll('|', '\\|');

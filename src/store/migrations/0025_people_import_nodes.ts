/** Which node runs an import of a file of people: when it falls silent, the import is over. */
export const peopleImportNodes = `
alter table people_imports add column node text;
create index people_imports_running on people_imports (node) where status = 'RUNNING';
`;

// The floor: what the runtime and its client cost by themselves.
export async function handler() {
  return { isAuthorized: true };
}
